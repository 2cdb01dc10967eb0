"""How far before its bookmark a stream of numbers reads: exact, and a value that the column holds. Pure."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal

import pyarrow as pa

_EXACT = Context(prec=100)


def number_before(number: str, lookback: Decimal, scale: int, least: Decimal) -> str:
    """A number less `lookback`, with `scale` digits behind the point, what is finer being rounded down; `least` at least."""
    found = _EXACT.subtract(Decimal(number), lookback).quantize(Decimal(1).scaleb(-scale), ROUND_FLOOR, _EXACT)
    return format(max(found, least), "f")


def least_of(arrow: pa.DataType) -> Decimal:
    """The least value of a type of integers or decimals."""
    if pa.types.is_integer(arrow):
        return Decimal(-(2 ** (arrow.bit_width - 1)))
    return Decimal(-(10**arrow.precision - 1)).scaleb(-arrow.scale, _EXACT)
