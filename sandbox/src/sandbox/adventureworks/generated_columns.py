"""Arrow columns of pseudo-random values, generated fast.

Every value is a hash of (salt, row number): the same row has the same values at every scale, with every NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_HEX = np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)
# where the 32 hex digits of a GUID stand in its 36 characters
_GUID_PLACES = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


def mix(salt: int, rows: npt.NDArray[Any]) -> U64:
    """One 64-bit hash (splitmix64) per row number."""
    with np.errstate(over="ignore"):
        z = rows.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
        z = (z + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xD1342543DE82EF95)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def below(salt: int, rows: npt.NDArray[Any], limit: int) -> I64:
    """Per row a number in [0, limit)."""
    return (mix(salt, rows) % np.uint64(limit)).astype(np.int64)


def validity(valid: Bools) -> pa.Buffer:
    """Arrow's validity bitmap of a boolean array."""
    return pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())


def numbers(values: npt.NDArray[Any], kind: pa.DataType, valid: Bools | None = None) -> pa.Array:
    """An Arrow column of integers, dates or timestamps from their numbers; NULL where not `valid`."""
    column = pa.array(values.astype(np.int64))
    if pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    column = column.cast(kind)
    return column if valid is None else pa.Array.from_buffers(kind, len(values), [validity(valid), column.buffers()[1]])


def decimals(values: I64, precision: int, scale: int) -> pa.Array:
    """decimal128(precision, scale) from unscaled 64-bit numbers."""
    words = np.empty((len(values), 2), dtype=np.int64)
    words[:, 0] = values
    words[:, 1] = values >> 63
    return pa.Array.from_buffers(pa.decimal128(precision, scale), len(values), [None, pa.py_buffer(words.tobytes())])


def guids(salt: int, rows: npt.NDArray[Any]) -> pa.Array:
    """Per row a GUID (version 4) as SQL Server prints it: upper case, with hyphens."""
    raw = np.empty((len(rows), 16), dtype=np.uint8)
    raw[:, :8] = mix(salt, rows).astype(">u8").view(np.uint8).reshape(-1, 8)
    raw[:, 8:] = mix(salt + 1, rows).astype(">u8").view(np.uint8).reshape(-1, 8)
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((len(rows), 36), ord("-"), dtype=np.uint8)
    digits = np.empty((len(rows), 32), dtype=np.uint8)
    digits[:, 0::2] = _HEX[raw >> 4]
    digits[:, 1::2] = _HEX[raw & 15]
    text[:, _GUID_PLACES] = digits
    return fixed_text(text)


def fixed_text(characters: npt.NDArray[np.uint8], valid: Bools | None = None) -> pa.Array:
    """A string column from ASCII characters of shape (rows, width)."""
    count, width = characters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    nulls = None if valid is None else validity(valid)
    buffers = [nulls, pa.py_buffer(offsets.tobytes()), pa.py_buffer(np.ascontiguousarray(characters).tobytes())]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def pattern(template: str, values: I64, valid: Bools | None = None) -> pa.Array:
    """Text from a template: each run of `#` (right to left) takes as many digits of the number, `%` a hex digit of it."""
    characters = np.tile(np.frombuffer(template.encode("ascii"), dtype=np.uint8), (len(values), 1))
    rest = values.astype(np.int64)
    for place in range(len(template) - 1, -1, -1):
        base = {"#": 10, "%": 16}.get(template[place])
        if base:
            characters[:, place] = _HEX[rest % base]
            rest = rest // base
    return fixed_text(characters, valid)


def choice(options: list[str | None], index: npt.NDArray[Any]) -> pa.Array:
    """Per row one of the options."""
    return pa.array(options, pa.string()).take(pa.array(index))
