"""Arrow batches to TDS ROW tokens, whole columns at a time.

A row's columns lie one behind the other, so each column of a batch becomes a few scatter writes: where each row's
value starts is one running sum over the columns' widths.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sandbox.sqlserver.types.sql_types import SqlType
from sandbox.sqlserver.wire.cells import Cells, Fixed, Varying, cells

ROW = 0xD1
_DISTINCT_LENGTHS = 48


def encode_rows(batch: pa.RecordBatch, kinds: list[SqlType]) -> bytes:
    """The ROW tokens of a batch of stored values (see `sql_types`)."""
    count = batch.num_rows
    if not count:
        return b""
    token = Fixed(np.full((count, 1), ROW, dtype=np.uint8))
    parts = _merge([token, *(cells(column, kind) for column, kind in zip(batch.columns, kinds, strict=True))])
    widths = sum((part.widths for part in parts), np.zeros(count, dtype=np.int64))
    ends = np.cumsum(widths)
    out = np.zeros(int(ends[-1]) + 16, dtype=np.uint8)
    at = ends - widths
    for part in parts:
        _write(out, at, part)
        at = at + part.widths
    return out[: int(ends[-1])].tobytes()


def _merge(parts: list[Cells]) -> list[Cells]:
    """Neighbours without NULLs and of one width each become one block: one write instead of several."""
    merged: list[Cells] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, Fixed) and part.valid is None and isinstance(last, Fixed) and last.valid is None:
            merged[-1] = Fixed(np.concatenate((last.block, part.block), axis=1))
        else:
            merged.append(part)
    return merged


def _write(out: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], part: Cells) -> None:
    if isinstance(part, Fixed):
        if part.valid is None:
            _scatter(out, at, part.block)
            return
        _scatter(out, at[part.valid], part.block[part.valid])
        if any(part.null):
            nulls = at[~part.valid]
            _scatter(out, nulls, np.tile(np.frombuffer(part.null, dtype=np.uint8), (len(nulls), 1)))
        return
    valid = part.valid
    if valid is None:
        _scatter(out, at, part.prefix)
        _copy(out, at + part.prefix.shape[1], part)
        return
    _scatter(out, at[valid], part.prefix[valid])
    if any(part.null):
        nulls = at[~valid]
        _scatter(out, nulls, np.tile(np.frombuffer(part.null, dtype=np.uint8), (len(nulls), 1)))
    _copy(out, at + part.prefix.shape[1], part)


def _scatter(out: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], block: npt.NDArray[np.uint8]) -> None:
    """Row i of the block to out[at[i]:]."""
    width = block.shape[1]
    if len(at) and width:
        _windows(out, width)[at] = np.ascontiguousarray(block).view(f"V{width}").ravel()


def _windows(data: npt.NDArray[np.uint8], width: int) -> npt.NDArray[Any]:
    """Every run of `width` bytes as one item: overlapping, so item i starts at byte i."""
    return np.ndarray((len(data) - width + 1,), dtype=f"V{width}", buffer=data.data, strides=(1,))


def _copy(out: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], part: Varying) -> None:
    """Each row's bytes from the column's data to its place: per distinct length, or byte by byte when they are many."""
    lengths = part.lengths
    found = np.unique(lengths)
    if len(found) <= _DISTINCT_LENGTHS:
        for length in found:
            if length:
                rows = np.flatnonzero(lengths == length)
                _windows(out, int(length))[at[rows]] = _windows(part.data, int(length))[part.starts[rows]]
        return
    source = np.repeat(part.starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
    target = source + np.repeat(at - part.starts, lengths)
    out[target] = part.data[source]
