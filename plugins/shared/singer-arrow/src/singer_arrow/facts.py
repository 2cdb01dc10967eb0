"""Exact facts of columns, to be found again in Delta (docs/contracts.md, Column facts)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow.documents import ColumnFacts

_WIDE = Context(prec=120)
_SUMMED_DIGITS = 28
_EPOCH = datetime(1970, 1, 1)
_DAY_ONE = date(1970, 1, 1)


def exact_sum(values: pa.Array | pa.ChunkedArray, bounds: tuple[int, int] | None = None) -> int:
    """The sum of an integer array without overflow, whatever its length. NULLs count as zero.

    `bounds` are the least and the greatest value, where they are known.
    """
    if values.null_count == len(values):
        return 0
    low, high = bounds or pc.min_max(values).as_py().values()
    if max(abs(low), abs(high)) * len(values) < 2**63:
        return int(pc.sum(values).as_py())
    numbers = pc.cast(values, pa.int64())
    high, low = pc.shift_right(numbers, 32), pc.bit_wise_and(numbers, 0xFFFFFFFF)
    return (int(pc.sum(high).as_py()) << 32) + int(pc.sum(low).as_py())


class FactsOfColumn:
    """Adds up one column's facts, batch by batch."""

    def __init__(self, arrow: pa.DataType) -> None:
        self._type = arrow
        self._non_null = 0
        self._sum: int | Decimal = 0
        self._length = 0
        self._nan = 0
        self._min: Any = None
        self._max: Any = None
        self._binary = pa.types.is_string(arrow) or pa.types.is_binary(arrow)
        self._as_integer = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(_bits(arrow))
        self._decimal = pa.types.is_decimal(arrow)
        self._float = pa.types.is_floating(arrow)

    def add(self, values: pa.Array | pa.ChunkedArray) -> None:
        """Takes values of the column's type."""
        present = len(values) - values.null_count
        if present == 0:
            return
        self._non_null += present
        if self._binary:
            self._length += pc.sum(pc.binary_length(values)).as_py()
        elif pa.types.is_boolean(self._type):
            self._sum += pc.sum(values).as_py()
        elif self._decimal:
            self._widen(values)
            if self._type.precision <= _SUMMED_DIGITS:
                self._sum = _WIDE.add(Decimal(self._sum), pc.sum(values).as_py())
        elif self._float:
            nan = pc.sum(pc.is_nan(values)).as_py()
            self._nan += nan
            if nan < present:
                self._widen(values)  # min_max passes over NaN
        else:
            numbers = pc.cast(values, self._as_integer)  # of dates and times: the same bytes
            self._sum += exact_sum(numbers, self._widen(numbers))

    def _widen(self, values: pa.Array | pa.ChunkedArray) -> tuple[Any, Any]:
        """Takes the least and the greatest of the values, and returns them."""
        low, high = pc.min_max(values).as_py().values()
        self._min = low if self._min is None or low < self._min else self._min
        self._max = high if self._max is None or high > self._max else self._max
        return low, high

    def result(self) -> ColumnFacts:
        """The facts as docs/contracts.md writes them."""
        facts = ColumnFacts(non_null=self._non_null)
        if self._binary:
            facts.length = self._length
        elif pa.types.is_boolean(self._type):
            facts.sum = str(self._sum)
        elif self._decimal:
            facts.min, facts.max = (self._decimal_text(x) for x in (self._min, self._max))
            if self._type.precision <= _SUMMED_DIGITS:
                facts.sum = self._decimal_text(self._sum)
        elif self._float:
            facts.nan = self._nan
            facts.min, facts.max = (self._float_text(x) for x in (self._min, self._max))
        else:
            facts.sum = str(self._sum if not pa.types.is_time(self._type) else self._sum * self._nanoseconds)
            facts.min, facts.max = (self._integer_text(x) for x in (self._min, self._max))
        return facts

    @property
    def _nanoseconds(self) -> int:
        return 1000 if self._type.unit == "us" else 1

    def _decimal_text(self, value: Decimal | int | None) -> str | None:
        if value is None:
            return None
        return format(_WIDE.quantize(Decimal(value), Decimal(1).scaleb(-self._type.scale)), "f")

    def _float_text(self, value: float | None) -> str | None:
        if value is None:
            return None
        value += 0.0  # which of two zeros is the least depends on their places: there is one
        return repr(value) if pa.types.is_float64(self._type) else str(pc.cast(pa.scalar(value, self._type), pa.string()))

    def _integer_text(self, value: int | None) -> str | None:
        if value is None:
            return None
        if pa.types.is_date(self._type):
            return (_DAY_ONE + timedelta(days=value)).isoformat()
        if pa.types.is_timestamp(self._type):
            text = (_EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds")
            return text + "Z" if self._type.tz else text
        if pa.types.is_time(self._type):
            return time_text(value * self._nanoseconds)
        return str(value)


def merged(arrow: pa.DataType, facts: Iterable[ColumnFacts]) -> ColumnFacts:
    """The facts of a column over several pieces of a load, from the facts of each piece; none give those of no rows."""
    pieces = list(facts)
    whole = FactsOfColumn(arrow).result()
    whole.non_null = sum(piece.non_null for piece in pieces)
    if whole.length is not None:
        whole.length = sum(piece.length or 0 for piece in pieces)
    if whole.nan is not None:
        whole.nan = sum(piece.nan or 0 for piece in pieces)
    if whole.sum is not None:
        total = Decimal(whole.sum)
        for piece in pieces:
            total = _WIDE.add(total, Decimal(piece.sum or "0"))
        whole.sum = format(total, "f")
    whole.min = min((piece.min for piece in pieces if piece.min is not None), key=_order(arrow), default=None)
    whole.max = max((piece.max for piece in pieces if piece.max is not None), key=_order(arrow), default=None)
    return whole


def _order(arrow: pa.DataType) -> Callable[[str], Any]:
    """How min and max texts compare: numbers as numbers; dates and times as text, since all have the same width."""
    if pa.types.is_integer(arrow) or pa.types.is_decimal(arrow):
        return Decimal
    return float if pa.types.is_floating(arrow) else str


def time_text(nanoseconds: int) -> str:
    """Nanoseconds since midnight as HH:MM:SS.fffffff, the seven digits of SQL Server's time(7)."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest // 100:07d}"


def utc_text(moment: datetime) -> str:
    """A moment as `2026-11-24T16:12:24.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _bits(arrow: pa.DataType) -> int:
    integer_like = pa.types.is_integer(arrow) or pa.types.is_temporal(arrow)
    return arrow.bit_width if integer_like else 0
