"""Singer records whose values are exact in JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from singer_arrow import compute as pc
from singer_arrow.facts import time_text
from tap_mssql.read.load import Load


def of_parts(load: Load) -> Iterator[dict[str, Any]]:
    """The rows of a complete load, part by part."""
    assert load.document is not None
    for part in load.document.files:
        with pq.ParquetFile(load.folder / part.path) as file:
            for batch in file.iter_batches(batch_size=4_096):
                yield from records(batch)


def records(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a batch as dicts that JSON holds exactly: decimals and times as text, binary as base64."""
    columns = [_values(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


def _values(column: pa.Array) -> list[Any]:
    arrow = column.type
    if pa.types.is_decimal(arrow):
        return _each(column.to_pylist(), lambda value: format(value, "f"))
    if pa.types.is_timestamp(arrow):
        return list(pc.strftime(column, "%Y-%m-%dT%H:%M:%S" + ("Z" if arrow.tz else "")).to_pylist())
    if pa.types.is_date(arrow):
        return _each(column.to_pylist(), lambda value: value.isoformat())
    if pa.types.is_time(arrow):
        factor = 1000 if arrow.unit == "us" else 1
        digits = 15 if arrow.unit == "us" else 16
        return _each(column.view(pa.int64()).to_pylist(), lambda value: time_text(value * factor)[:digits])
    if pa.types.is_binary(arrow):
        return _each(column.to_pylist(), lambda value: base64.b64encode(value).decode())
    return list(column.to_pylist())


def _each(values: list[Any], text: Callable[[Any], str]) -> list[Any]:
    return [None if value is None else text(value) for value in values]
