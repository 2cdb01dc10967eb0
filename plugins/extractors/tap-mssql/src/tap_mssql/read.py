"""Reading one load: what the source says it has, then its rows as Arrow batches of the declared types."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import mssql_python
import pyarrow as pa
import pyarrow.compute as pc

from tap_mssql import query
from tap_mssql.catalog import Table
from tap_mssql.columns import SqlColumn
from tap_mssql.connect import Connection, driver_text
from tap_mssql.errors import ReadFailed
from tap_mssql.query import Window
from tap_mssql.settings import Settings

log = logging.getLogger("tap-mssql")


@dataclass
class Source:
    """What is read: a table's columns, in key order, within a window; and what the source says about it."""

    table: Table
    columns: Sequence[SqlColumn]
    order: Sequence[str]
    window: Window | None
    rows: int
    notes: list[str] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the batches."""
        return pa.schema([c.arrow for c in self.columns])


@contextmanager
def isolated(connection: Connection, settings: Settings) -> Iterator[str]:
    """One consistent view of the database while a load is read, where it allows SNAPSHOT isolation; yields what is used."""
    level = "SNAPSHOT" if settings.snapshot == "always" or _allows_snapshot(connection, settings) else "READ COMMITTED"
    connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}").close()
    if level != "SNAPSHOT":
        yield "read committed: rows changed while the stream was read may be seen before or after the change"
        return
    connection.autocommit = False
    try:
        yield "snapshot"
        connection.commit()
    finally:
        connection.autocommit = True


def _allows_snapshot(connection: Connection, settings: Settings) -> bool:
    if settings.snapshot == "never":
        return False
    state = "SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()"
    with connection.execute(state) as cursor:
        row = cursor.fetchone()
    return bool(row and row[0] == 1)


def describe(
    connection: Connection,
    table: Table,
    columns: Sequence[SqlColumn],
    cursor: SqlColumn | None,
    bookmark: str | None,
    order: Sequence[str],
) -> Source:
    """Fixes the load's upper bound and counts its rows at the source. Raises ReadFailed."""
    with _failing(table), connection.cursor() as statement:
        window = None
        if cursor:
            top = statement.execute(query.maximum(table, cursor)).fetchone()
            window = Window(cursor, bookmark, bookmark if top is None or top[0] is None else str(top[0]))
        row = statement.execute(query.facts(table, columns, window)).fetchone()
    finer = [c.name for c in columns if c.has_100_ns]
    notes = [
        f"{name}: {count} values had a digit finer than a microsecond, which timestamp[us] does not hold"
        for name, count in zip(finer, row[1:], strict=True)
        if count
    ]
    for note in notes:
        log.warning("%s: %s", table.stream, note)
    return Source(table, columns, order, window, int(row[0]), notes)


def batches(connection: Connection, source: Source, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a source, at most `batch_rows` at a time, in its schema. Raises ReadFailed."""
    statement = query.rows(source.table, source.columns, source.window, source.order)
    with _failing(source.table), connection.cursor() as cursor:
        cursor.execute(statement)
        with cursor.arrow_reader(batch_size=batch_rows) as reader:
            for batch in reader:
                yield as_declared(batch, source)


def as_declared(batch: pa.RecordBatch, source: Source) -> pa.RecordBatch:
    """The driver's batch in the declared types. Raises ReadFailed naming the column whose values do not fit."""
    arrays = []
    for column, values in zip(source.columns, batch.columns, strict=True):
        try:
            arrays.append(pc.cast(values, column.arrow.type))
        except pa.ArrowInvalid as error:
            raise ReadFailed(f"stream {source.table.stream}, column {column.name!r} ({column.declared}): {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=source.schema)


@contextmanager
def _failing(table: Table) -> Iterator[None]:
    try:
        yield
    except (mssql_python.Error, RuntimeError) as error:
        raise ReadFailed(
            f"stream {table.stream}: reading {table.quoted} failed: {driver_text(error)}. "
            "Nothing of this load is staged; Delta is as it was; run again."
        ) from error


def refuse_short(source: Source, rows: int, isolation: str) -> None:
    """Raises ReadFailed when fewer or more rows came than one consistent view holds."""
    if isolation == "snapshot" and rows != source.rows:
        raise ReadFailed(
            f"stream {source.table.stream}: the source counts {source.rows} rows, {rows} arrived in the same snapshot. "
            "Nothing of this load is staged; run again, and report this with the server's version."
        )
