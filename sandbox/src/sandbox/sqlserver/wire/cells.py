"""One Arrow column as the bytes each of its values has in a ROW token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.guids import WIRE_PLACES
from sandbox.sqlserver.types.sql_types import BINARIES, MAX, STRINGS, TEXT_ONLY, WIDE, SqlType, decimal_width, time_width
from sandbox.sqlserver.types.temporal import DAY, UNIX_EPOCH

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

_EPOCH_DAYS = UNIX_EPOCH // DAY
_PLP_NULL = b"\xff" * 8
_TEXT_POINTER = b"\x10" + b"sandbox-pointer\0" + b"\0" * 8


@dataclass(frozen=True)
class Fixed:
    """Values of one width; `valid` None means no NULLs, whose bytes are `null`."""

    block: U8
    valid: npt.NDArray[np.bool_] | None = None
    null: bytes = b"\0"

    @property
    def widths(self) -> I64:
        """Bytes each row takes."""
        width = self.block.shape[1]
        if self.valid is None:
            return np.full(len(self.block), width, dtype=np.int64)
        return np.where(self.valid, width, len(self.null))


@dataclass(frozen=True)
class Varying:
    """Values of their own lengths: a prefix, bytes from `data`, and `suffix` zero bytes; NULLs have length 0."""

    prefix: U8
    data: U8
    starts: I64
    lengths: I64
    valid: npt.NDArray[np.bool_] | None
    null: bytes
    suffix: int | I64 = 0

    @property
    def widths(self) -> I64:
        """Bytes each row takes."""
        width = self.prefix.shape[1] + self.lengths + self.suffix
        return width if self.valid is None else np.where(self.valid, width, len(self.null))


Cells = Fixed | Varying


def cells(column: pa.Array, kind: SqlType) -> Cells:
    """The cells of a column of stored values (see `sql_types`)."""
    if kind.name in TEXT_ONLY:
        raise NotSupported(f"a {kind.name} value in a result (CONVERT it to nvarchar)")
    valid = None if not column.null_count else column.is_valid().to_numpy(zero_copy_only=False)
    if kind.name in STRINGS:
        return _text(column, kind, valid)
    if kind.name in BINARIES:
        return _bytes(*_binary(column), kind, valid)
    if kind.name == "uniqueidentifier":
        return _guid(column, valid)
    values = _VALUES[kind.name](column, kind)
    length = np.full((len(values), 1), values.shape[1], dtype=np.uint8)
    return Fixed(np.concatenate((length, values), axis=1), valid)


def _raw(column: pa.Array, dtype: str) -> npt.NDArray[Any]:
    """The values' buffer as NumPy numbers, NULLs being whatever they are there."""
    size = np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype=dtype, count=len(column), offset=column.offset * size)


def _little(values: npt.NDArray[Any], width: int) -> U8:
    """The low `width` bytes of each number, lowest first."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)[:, :width]


def _bit(column: pa.Array, _: SqlType) -> U8:
    bits: U8 = column.cast(pa.uint8()).fill_null(0).to_numpy().reshape(-1, 1)
    return bits


def _number(column: pa.Array, kind: SqlType) -> U8:
    arrow, dtype = {
        "tinyint": (pa.uint8(), "u1"),
        "smallint": (pa.int16(), "<i2"),
        "int": (pa.int32(), "<i4"),
        "bigint": (pa.int64(), "<i8"),
        "real": (pa.float32(), "<f4"),
        "float": (pa.float64(), "<f8"),
    }[kind.name]
    numbers = _raw(column.cast(arrow), dtype)
    return _little(numbers, numbers.dtype.itemsize)


def _words(column: pa.Array, dtype: str = "<u8") -> npt.NDArray[Any]:
    """128-bit values as (rows, 2) 64-bit words, low first."""
    return _raw_wide(column).view(dtype)


def _raw_wide(column: pa.Array) -> npt.NDArray[Any]:
    data = np.frombuffer(column.buffers()[1], dtype="<u8", count=2 * len(column), offset=16 * column.offset)
    return data.reshape(-1, 2)


def _decimal(column: pa.Array, kind: SqlType) -> U8:
    low, high = _words(column.cast(pa.decimal128(kind.precision, kind.scale))).T
    negative = high >> np.uint64(63) != 0
    # two's complement: invert both words, add one with carry
    magnitude = np.empty((len(column), 2), dtype="<u8")
    with np.errstate(over="ignore"):
        magnitude[:, 0] = np.where(negative, ~low + np.uint64(1), low)
        magnitude[:, 1] = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    sign = np.where(negative, 0, 1).astype(np.uint8).reshape(-1, 1)
    return np.concatenate((sign, _little(magnitude, decimal_width(kind.precision) - 1)), axis=1)


def _money(column: pa.Array, kind: SqlType) -> U8:
    low = _words(column.cast(pa.decimal128(kind.precision, 4)))[:, 0]
    if kind.name == "smallmoney":
        return _little(np.ascontiguousarray(low), 4)
    both = _little(np.ascontiguousarray(low), 8)
    return both[:, [4, 5, 6, 7, 0, 1, 2, 3]]


def _date(column: pa.Array, _: SqlType) -> U8:
    return _little(_raw(column, "<i4") + _EPOCH_DAYS, 3)


def _time_part(ticks: I64, scale: int) -> U8:
    return _little(ticks // 10 ** (7 - scale), time_width(scale))


def _time(column: pa.Array, kind: SqlType) -> U8:
    return _time_part(_raw(column.cast(pa.int64()), "<i8"), kind.scale)


def _datetime2(column: pa.Array, kind: SqlType) -> U8:
    days, ticks = np.divmod(_raw(column.cast(pa.int64()), "<i8"), DAY)
    return np.concatenate((_time_part(ticks, kind.scale), _little(days, 3)), axis=1)


def _datetimeoffset(column: pa.Array, kind: SqlType) -> U8:
    low, high = _raw_wide(column).T
    utc = ((high << np.uint64(52)) | (low >> np.uint64(12))).astype("<i8")
    offset = (low & np.uint64(4095)).astype("<i8") - 2048
    days, ticks = np.divmod(utc, DAY)
    return np.concatenate((_time_part(ticks, kind.scale), _little(days, 3), _little(offset, 2)), axis=1)


def _datetime(column: pa.Array, kind: SqlType) -> U8:
    unit, width = (1_440, 2) if kind.name == "smalldatetime" else (86_400 * 300, 4)
    days, part = np.divmod(_raw(column.cast(pa.int64()), "<i8"), unit)
    return np.concatenate((_little(days, width), _little(part, width)), axis=1)


_VALUES = {
    "bit": _bit,
    "tinyint": _number,
    "smallint": _number,
    "int": _number,
    "bigint": _number,
    "real": _number,
    "float": _number,
    "decimal": _decimal,
    "numeric": _decimal,
    "money": _money,
    "smallmoney": _money,
    "date": _date,
    "time": _time,
    "datetime2": _datetime2,
    "datetime": _datetime,
    "smalldatetime": _datetime,
    "datetimeoffset": _datetimeoffset,
}


def _guid(column: pa.Array, valid: npt.NDArray[np.bool_] | None) -> Fixed:
    data, starts, _ = _binary(column)
    block = np.zeros((len(column), 17), dtype=np.uint8)
    block[:, 0] = 16
    rows = np.arange(len(column)) if valid is None else np.flatnonzero(valid)
    if len(rows):
        block[rows, 1:] = data[starts[rows][:, None] + np.array(WIRE_PLACES)]
    return Fixed(block, valid)


def _binary(column: pa.Array) -> tuple[U8, I64, I64]:
    """Data, starts and lengths of a binary or string column."""
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    dtype = "<i8" if large else "<i4"
    size = np.dtype(dtype).itemsize
    offsets = np.frombuffer(column.buffers()[1], dtype=dtype, count=len(column) + 1, offset=column.offset * size)
    offsets = offsets.astype(np.int64)
    buffer = column.buffers()[2]
    data = np.frombuffer(buffer, dtype=np.uint8) if buffer is not None else np.zeros(0, dtype=np.uint8)
    return data[offsets[0] : offsets[-1]], offsets[:-1] - offsets[0], np.diff(offsets)


def _text(column: pa.Array, kind: SqlType, valid: npt.NDArray[np.bool_] | None) -> Varying:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = pc.cast(column, pa.string())
    data, starts, lengths = _binary(column)
    wide = kind.name in WIDE
    if not wide and kind.collation and collation(kind.collation).utf8:
        return _bytes(data, starts, lengths, kind, valid)
    if not len(data) or data.max() < 0x80:
        if wide:
            data, starts, lengths = data.astype("<u2").view(np.uint8), starts * 2, lengths * 2
        return _bytes(data, starts, lengths, kind, valid)
    # how many code units stand before each byte of the UTF-8 text
    units = (data & 0xC0 != 0x80).astype(np.int64)
    if wide:
        units += data >= 0xF0
    before = np.concatenate(([0], np.cumsum(units))) * (2 if wide else 1)
    text = data.tobytes().decode("utf-8")
    encoded = text.encode("utf-16-le") if wide else text.encode("cp1252", "replace")
    first = before[starts]
    return _bytes(np.frombuffer(encoded, dtype=np.uint8), first, before[starts + lengths] - first, kind, valid)


def _bytes(data: U8, starts: I64, lengths: I64, kind: SqlType, valid: npt.NDArray[np.bool_] | None) -> Varying:
    """The cells of text or bytes already in their encoding: sized, in chunks (max), or behind a text pointer."""
    if valid is not None:
        lengths = np.where(valid, lengths, 0)
    if kind.name in ("text", "ntext", "image"):
        prefix = np.empty((len(lengths), 29), dtype=np.uint8)
        prefix[:, :25] = np.frombuffer(_TEXT_POINTER, dtype=np.uint8)
        prefix[:, 25:] = _little(lengths, 4)
        return Varying(prefix, data, starts, lengths, valid, b"\0")
    if kind.length == MAX or kind.name == "xml":
        return _chunked(data, starts, lengths, valid)
    if len(lengths) and lengths.max() > 8_000:
        raise NotSupported(f"a value of {lengths.max()} bytes in {kind}")
    return Varying(_little(lengths, 2), data, starts, lengths, valid, b"\xff\xff")


def _chunked(data: U8, starts: I64, lengths: I64, valid: npt.NDArray[np.bool_] | None) -> Varying:
    """One chunk and a terminator; an empty value is the terminator alone, whose zeros are the chunk's length too."""
    prefix = np.concatenate((_little(lengths, 8), _little(lengths, 4)), axis=1)
    return Varying(prefix, data, starts, lengths, valid, _PLP_NULL, np.where(lengths > 0, 4, 0))
