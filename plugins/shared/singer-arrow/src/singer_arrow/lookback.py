"""How far before its bookmark a stream of numbers, dates or times of day reads: exact, a value that the column holds. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_FLOOR, Context, Decimal

import pyarrow as pa

_EXACT = Context(prec=100)
_DAY = 86_400


def number_before(number: str, lookback: Decimal, arrow: pa.DataType, least: Decimal | None = None) -> str:
    """A number of a type of integers or decimals less `lookback`; digits finer than the type's are rounded down.

    It is `least` at least, which is the type's least value unless given.
    """
    scale = arrow.scale if pa.types.is_decimal(arrow) else 0
    found = _EXACT.subtract(Decimal(number), lookback).quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, _EXACT)
    return format(max(found, _least_of(arrow) if least is None else least), "f")


def day_before(day: str, seconds: float) -> str:
    """The date (YYYY-MM-DD) so many seconds before a day begins; 0001-01-01 at least."""
    found = date.fromisoformat(day)
    return (found - timedelta(days=min(-(-seconds // _DAY), (found - date.min).days))).isoformat()


def time_before(time: str, seconds: Decimal) -> str:
    """The time of day (HH:MM:SS.fffffff) so many seconds before another one; midnight at least."""
    hours, minutes, rest = time.split(":")
    found = _EXACT.subtract(Decimal(hours) * 3600 + Decimal(minutes) * 60 + Decimal(rest), seconds)
    whole = max(found, Decimal(0)).quantize(Decimal("1e-7"), ROUND_FLOOR, _EXACT)
    return f"{int(whole // 3600):02d}:{int(whole // 60 % 60):02d}:{whole % 60:010.7f}"


def _least_of(arrow: pa.DataType) -> Decimal:
    if pa.types.is_integer(arrow):
        return Decimal(-(2 ** (arrow.bit_width - 1)))
    return Decimal(-(10**arrow.precision - 1)).scaleb(-arrow.scale, _EXACT)
