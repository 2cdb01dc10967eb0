"""The rows that the next load of an incremental stream reads once more although nothing has changed, and how it knows them.

The rows with the bookmark's own value come with each load, since others may have it, too; so do those without a value. A load
that reads the same rows as the one before, value by value, is none: nothing is staged, and no job runs for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from singer_arrow import compute as pc
from singer_arrow.documents import PartFile

AGAIN = "again"  # in a bookmark: the fingerprint
MOST_ROWS = 10_000  # more than that are not compared, and so come with each load

Group = tuple[pq.ParquetFile, int]  # a row group: its part, its number there


class Again(Struct, frozen=True):
    """Which rows come again: those with the greatest value of `column` (`ties`), those without any (`nulls`), or `everything`.

    `top`: the greatest value of a text column, whose order is the source's own.
    """

    column: str
    ties: bool = False
    nulls: bool = False
    everything: bool = False
    top: str | None = None


def move(bookmark: MutableMapping[str, Any], found: str | None) -> None:
    """Puts a load's fingerprint into its stream's bookmark; none where there is none."""
    bookmark.pop(AGAIN, None)
    if found is not None:
        bookmark[AGAIN] = found


def fingerprint(again: Again, schema: pa.Schema, folder: Path, files: Sequence[PartFile]) -> str | None:
    """SHA-256, in hex, over the rows of a load that come again, in any order, and over the schema.

    None where they are too many, or where no statistics of the parts lead to them.
    """
    if again.everything:
        return whole(schema, folder, files)
    with ExitStack() as stack:
        parts = [stack.enter_context(pq.ParquetFile(folder / file.path)) for file in files]
        return _digest(schema, _ends(again, schema, parts))


def whole(schema: pa.Schema, folder: Path, files: Sequence[PartFile]) -> str | None:
    """The same over all rows of a load."""
    if sum(file.rows for file in files) > MOST_ROWS:
        return None
    return _digest(schema, (pq.read_table(folder / file.path, columns=schema.names) for file in files))


def _digest(schema: pa.Schema, tables: Iterator[pa.Table] | None) -> str | None:
    if tables is None:
        return None
    rows: list[str] = []
    for table in tables:
        if len(rows) + table.num_rows > MOST_ROWS:
            return None
        rows += _texts(table)
    digest = hashlib.sha256(repr([(field.name, str(field.type)) for field in schema]).encode())
    for row in sorted(rows):
        digest.update(b"\n" + row.encode())
    return digest.hexdigest()


def _ends(again: Again, schema: pa.Schema, parts: Sequence[pq.ParquetFile]) -> Iterator[pa.Table] | None:
    """The rows with the greatest value, those without any, as asked; None where statistics do not say where they are."""
    groups = [(part, number, part.metadata.row_group(number)) for part in parts for number in range(part.metadata.num_row_groups)]
    if not groups or not (again.ties or again.nulls):
        return iter(())
    index = groups[0][0].schema_arrow.get_field_index(again.column)
    told = [(part, number, group.column(index).statistics, group.num_rows) for part, number, group in groups]
    if any(each is None or not (each.has_min_max or each.null_count == rows) for _, _, each, rows in told):
        return None
    if again.nulls and sum(each.null_count for _, _, each, _ in told) > MOST_ROWS:
        return None
    bounds = {(part, number): (each.min, each.max) for part, number, each, _ in told if each.has_min_max}
    tops = _groups_of_top(again, schema, bounds) if again.ties else []
    top = _top(again, schema, tops)
    read = [(part, number) for part, number, each, _ in told if (part, number) in tops or (again.nulls and each.null_count)]
    return (_chosen(part.read_row_group(number, columns=schema.names), again, top) for part, number in read)


def _groups_of_top(again: Again, schema: pa.Schema, bounds: Mapping[Group, tuple[Any, Any]]) -> list[Group]:
    """The row groups that may hold the greatest value, by the least and the greatest of each."""
    if pa.types.is_string(schema.field(again.column).type):
        return [group for group, (low, high) in bounds.items() if again.top is not None and low <= again.top <= high]
    greatest = max((high for _, high in bounds.values()), default=None)
    return [group for group, (_, high) in bounds.items() if high == greatest]


def _top(again: Again, schema: pa.Schema, groups: Sequence[Group]) -> pa.Scalar | None:
    """The greatest value, of the values themselves: statistics know times of day to the microsecond only."""
    arrow = schema.field(again.column).type
    if pa.types.is_string(arrow):
        return pa.scalar(again.top, arrow) if again.top is not None else None
    found = [part.read_row_group(number, columns=[again.column]).column(0) for part, number in groups]
    return pc.min_max(pa.chunked_array([chunk for each in found for chunk in each.chunks], arrow))["max"] if found else None


def _chosen(table: pa.Table, again: Again, top: pa.Scalar | None) -> pa.Table:
    values = table.column(again.column)
    found = [pc.is_null(values)] if again.nulls else []
    if top is not None:
        found.append(pc.fill_null(pc.equal(values, top), False))
    return table.filter(found[0] if len(found) == 1 else pc.or_(*found))


def _texts(table: pa.Table) -> list[str]:
    return [repr(row) for row in zip(*(_plain(column) for column in table.columns), strict=True)]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Values that Python prints exactly: dates and times as the numbers that they are."""
    if pa.types.is_temporal(column.type):
        column = pc.cast(column, pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    values: list[Any] = column.to_pylist()
    return values
