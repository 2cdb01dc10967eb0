"""A query's rows, fetched batch by batch while they are sent."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.sqlserver.engine.duckdb_errors import rethrown
from sandbox.sqlserver.engine.long_rows import read_in_pages, rows_are_long
from sandbox.sqlserver.engine.outcomes import Rows
from sandbox.sqlserver.engine.transaction import SessionTransaction
from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.statement import Pages, Query
from sandbox.sqlserver.types.sql_types import MAX, TEXT_ONLY, SqlType

ROWS_PER_BATCH = 16_384
_BOUND = re.compile(r"CAST\(\$(\d+) AS ")
_KINDS = {
    pa.bool_(): "bit",
    pa.uint8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int8(): "smallint",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "float",
    pa.date32(): "date",
    pa.null(): "int",
}


def open_rows(query: Query, binds: list[Any], transaction: SessionTransaction, cancelled: threading.Event) -> Rows:
    """Starts the query. Raises NotSupported for a column that cannot be sent."""
    cursor = transaction.cursor
    if query.pages is not None and all(column.kind for column in query.columns) and rows_are_long(cursor, query.pages):
        declared = [(column.name, column.kind) for column in query.columns if column.kind is not None]
        return Rows(declared, _paged(query.pages, binds, transaction))
    reader = cursor.execute(query.sql, used_binds(query.sql, binds)).to_arrow_reader(ROWS_PER_BATCH)
    declared = [
        (column.name, column.kind or _kind_of(reader.schema.field(number).type)) for number, column in enumerate(query.columns)
    ]
    for _, kind in declared:
        if kind.name in TEXT_ONLY:
            raise NotSupported(f"a {kind.name} value in a result (convert it to nvarchar in the SELECT)")
    return Rows(declared, _streamed(reader, transaction, cancelled))


def used_binds(sql: str, binds: list[Any]) -> dict[str, Any]:
    """The bound values that a DuckDB statement refers to, by their numbers."""
    return {number: binds[int(number) - 1] for number in set(_BOUND.findall(sql))}


def _streamed(
    reader: pa.RecordBatchReader, transaction: SessionTransaction, cancelled: threading.Event
) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:  # what Arrow makes of DuckDB's errors
        if cancelled.is_set():
            raise duckdb.InterruptException("cancelled") from None
        with transaction.translating():
            raise rethrown(error) from error
    finally:
        reader.close()


def _paged(pages: Pages, binds: list[Any], transaction: SessionTransaction) -> Iterator[pa.RecordBatch]:
    """Long rows, a few at a time; all of one state of the store."""
    own, cursor = not transaction.in_store, transaction.cursor
    with transaction.translating():
        if own:
            cursor.execute("BEGIN TRANSACTION")
        try:
            yield from read_in_pages(cursor, pages, lambda sql: used_binds(sql, binds))
        finally:
            if own:
                cursor.execute("ROLLBACK")


def _kind_of(kind: pa.DataType) -> SqlType:
    """The SQL Server type of a DuckDB result column without a declared one."""
    if pa.types.is_decimal(kind):
        return SqlType("decimal", 0, kind.precision, kind.scale)
    if kind in _KINDS:
        return SqlType(_KINDS[kind])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return SqlType("nvarchar", MAX)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return SqlType("varbinary", MAX)
    raise NotSupported(f"a result of type {kind}")
