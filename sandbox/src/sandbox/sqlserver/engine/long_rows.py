"""Tables with long values are read in small batches: DuckDB reads 2,048 rows at once, which may be gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.sqlserver.sql.statement import Pages

_LONG = 32_768  # bytes of a row above which its table is read in pages
_PAGE = 8 << 20  # bytes of a page, unless one row is longer
_MOST = 2_048  # rows of a page
_SAMPLE = 16


def rows_are_long(cursor: duckdb.DuckDBPyConnection, pages: Pages) -> bool:
    """Whether the rows, by a sample, are so long that the table should be read in pages."""
    found = cursor.execute(f"SELECT coalesce(max(rowid), -1) FROM {pages.table}").fetchone()
    last = int(found[0]) if found else -1
    if last < 0:
        return False
    places = sorted({last * n // (_SAMPLE - 1) for n in range(_SAMPLE)})
    widths = " + ".join(
        f"coalesce(avg(octet_length({'encode(' + name + ')' if text else name})), 0)" for name, text in _kinds(cursor, pages)
    )
    sample = cursor.execute(f"SELECT {widths} FROM {pages.table} WHERE rowid IN ({', '.join(map(str, places))})").fetchone()
    return sample is not None and (sample[0] or 0) > _LONG


def _kinds(cursor: duckdb.DuckDBPyConnection, pages: Pages) -> list[tuple[str, bool]]:
    described = cursor.execute(f"SELECT {', '.join(pages.long)} FROM {pages.table} LIMIT 0").description or []
    return [(name, str(kind) != "BLOB") for (name, kind, *_) in described]


def read_in_pages(cursor: duckdb.DuckDBPyConnection, pages: Pages, binds: Any) -> Iterator[pa.RecordBatch]:
    """The rows in the query's order, as many at a time as fit a page, in the open transaction."""
    ids = [number for (number,) in cursor.execute(pages.ids, binds(pages.ids)).fetchall()]
    at, count = 0, 1
    while at < len(ids):
        wanted = ids[at : at + count]
        sql = pages.rows.format(", ".join(map(str, wanted)))
        table = cursor.execute(sql, binds(sql)).to_arrow_table()
        places = {number: place for place, number in enumerate(table.column("rid").to_pylist())}
        if list(places) != wanted:
            table = table.take([places[number] for number in wanted])
        at += count
        count = min(max(_PAGE * len(wanted) // max(table.nbytes, 1), 1), _MOST)
        yield from table.drop_columns(["rid"]).combine_chunks().to_batches()
