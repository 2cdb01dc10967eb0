"""Discovery: one query over sys.*, and what it says as tables."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, field

from singer_arrow.errors import SelectionRefused
from tap_mssql.config import patterns
from tap_mssql.config.settings import Settings
from tap_mssql.server import queries
from tap_mssql.server.connection import Connection
from tap_mssql.server.diagnosis import diagnose
from tap_mssql.server.discovery_sql import ELSEWHERE, ESTIMATES, NO_ESTIMATES, names, query
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.sql_types import SqlColumn, quote, text
from tap_mssql.server.table import Table

log = logging.getLogger("tap-mssql")
HIDDEN = frozenset({208, 229, 297})  # errors of catalog views that a server lacks, or does not show this login
MOST_IDS = 500  # of tables that are described by their ids; where more are chosen, all are, and the others left out
BATCH_ROWS = 2048  # the driver sets aside a description's whole length for each row of a batch


def discover(connection: Connection, settings: Settings, wanted: Collection[str] | None = None) -> list[Table]:
    """The tables and views (and synonyms, where asked for) that `streams` and `filter_dbs` choose, by schema and name; then the
    queries of the settings, of which `streams` chooses too. Of all these only the `wanted` streams, where they are given.

    All names are asked for, and then what the server knows of those that are chosen: in a large database that takes longest.
    Raises SelectionRefused when a pattern chooses nothing, or two of them would be one stream.
    """
    found = {(schema, name): number for schema, name, number in _rows(connection, names(settings.include_synonyms))}
    if settings.include_synonyms:
        _warn_of_synonyms_elsewhere(connection)
    if not found and not settings.queries:
        raise SelectionRefused(
            f"database {settings.database!r} has no table that login {settings.user!r} may see",
            action="GRANT SELECT to the login, or correct TAP_MSSQL_DATABASE",
        )
    asked = [(query.schema, query.table) for query in settings.queries]
    _refuse_taken(found, asked)
    schemas = [schema.strip() for schema in settings.filter_dbs.split(",") if schema.strip()]
    patterns.refuse_idle([f"{schema}.*" for schema in schemas], list(found), "filter_dbs")
    patterns.refuse_idle([each.pattern for each in settings.stream_options], [*found, *asked], "stream_options")
    inside = {schema.lower() for schema in schemas}
    streams = [*(name for name in found if not inside or name[0].lower() in inside), *asked]
    chosen = patterns.choose(streams, settings.streams)
    patterns.refuse_twins(chosen)
    if wanted is not None:
        chosen = [name for name in chosen if "-".join(name) in wanted]
    ids = {found[name] for name in chosen if name in found}
    described = (
        _described(connection, of_synonyms=settings.include_synonyms, ids=ids if len(ids) <= MOST_IDS else None) if ids else []
    )
    tables = [table for table in described if table.object_id in ids]
    return tables + [queries.described(connection, query) for query in settings.queries if (query.schema, query.table) in chosen]


def _refuse_taken(tables: Iterable[patterns.Name], asked: Iterable[patterns.Name]) -> None:
    """Raises SelectionRefused for queries that have a table's name."""
    taken = {".".join(name).lower() for name in tables}
    lines = [name for name in map(".".join, asked) if name.lower() in taken]
    if lines:
        raise SelectionRefused(
            f"queries: the database has a table or view of the name {', '.join(lines)}", action="give the query another name"
        )


def _warn_of_synonyms_elsewhere(connection: Connection) -> None:
    for schema, name, base in _rows(connection, ELSEWHERE):
        log.warning(
            "synonym %s.%s is left out: it stands for %s, in another database; set `database` to read it", schema, name, base
        )


def again(connection: Connection, known: Table) -> Table | None:
    """One table, view, synonym or query as it is now; None when it is gone or this login may not see it any more."""
    if known.sql:
        return queries.again(connection, known)
    for is_synonym in (False, True):
        for found in _described(connection, of_synonyms=is_synonym, of_tables=not is_synonym, ids=[known.object_id]):
            return found
    return None


def _described(connection: Connection, **which: Any) -> list[Table]:
    """What the catalog says of tables; without estimates of their sizes where the server does not show these."""
    try:
        return tables(_rows(connection, query(**which, estimates=ESTIMATES)))
    except DRIVER_ERRORS as error:
        if diagnose(error).number not in HIDDEN:
            raise
        log.info("the server does not show how large its tables are: %s", error)
        return tables(_rows(connection, query(**which, estimates=NO_ESTIMATES)))


def denied(connection: Connection, table: Table) -> frozenset[str]:
    """The columns that this login may not SELECT; all of them where it may not read the table.

    One question for the whole table: a SELECT of no rows, which the server refuses where a column is denied (a denied column
    leaves HAS_PERMS_BY_NAME of the table at 1). Only where it is refused are the columns asked for one by one.
    """
    every = ", ".join(
        c.expression if not c.unreadable else f"CASE WHEN {quote(c.name)} IS NULL THEN 1 END" for c in table.columns
    )
    try:
        connection.execute(f"SELECT TOP (0) {every} FROM {table.quoted}").close()
    except DRIVER_ERRORS as error:
        log.debug("%s is not readable as a whole: %s", table.quoted, error)
    else:
        return frozenset()
    if table.sql:  # HAS_PERMS_BY_NAME knows no queries
        return frozenset(c.name for c in table.columns)
    name = text(table.quoted)
    checks = [f"HAS_PERMS_BY_NAME({name}, 'OBJECT', 'SELECT', {text(c.name)}, 'COLUMN')" for c in table.columns]
    with connection.execute(f"SELECT {', '.join(checks)}") as cursor:
        answers = cursor.fetchone()
    return frozenset(c.name for c, answer in zip(table.columns, answers, strict=True) if answer == 0)


def tracked(connection: Connection) -> frozenset[int]:
    """The object ids of the tables whose changes the server tracks, as far as this login may see it."""
    with connection.execute("SELECT object_id FROM sys.change_tracking_tables") as cursor:
        return frozenset(int(number) for (number,) in cursor.fetchall())


def _rows(connection: Connection, query: str) -> Iterator[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        while (batch := cursor.arrow_batch(BATCH_ROWS)).num_rows:
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
    # A link that is cut between two rows looks to the driver like the result's end; the next statement tells.
    connection.execute("SELECT 1").close()


class _Index(Struct):
    unique: bool
    primary: bool
    filtered: bool
    ordered: bool
    columns: dict[int, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns[i] for i in sorted(self.columns))


class _Found(Struct):
    head: Sequence[Any]
    columns: dict[int, SqlColumn] = field(default_factory=dict)
    indexes: dict[int, _Index] = field(default_factory=dict)


def tables(rows: Iterable[Sequence[Any]]) -> list[Table]:
    """The tables that the rows of a query of discovery_sql.py describe, in their order."""
    found: dict[int, _Found] = {}
    for row in rows:
        head, ordinal, name, index = row[:9], row[9], row[10], row[20]
        table = found.get(row[2])
        if table is None:
            table = found[row[2]] = _Found(head)
        if ordinal not in table.columns:
            type_, length, precision, scale, nullable, identity, computed, collation, description = row[11:20]
            table.columns[ordinal] = SqlColumn(
                name,
                type_,
                length,
                precision,
                scale,
                bool(nullable),
                bool(identity),
                bool(computed),
                collation,
                description or "",
            )
        if index is not None:
            kept = table.indexes.get(index)
            if kept is None:
                unique, primary, filtered, ordered = map(bool, row[21:25])
                kept = table.indexes[index] = _Index(unique, primary, filtered, ordered)
            kept.columns[row[25]] = name
    return [_table(each) for each in found.values()]


def _table(found: _Found) -> Table:
    schema, name, object_id, kind, synonym, modified, rows, size, description = found.head
    columns = tuple(found.columns[i] for i in sorted(found.columns))
    primary = next((i.names for i in found.indexes.values() if i.primary), None)
    return Table(
        schema,
        name,
        kind == "V",
        columns,
        primary or _key(found.indexes, {c.name for c in columns if c.nullable}),
        None if rows is None else int(rows),
        has_primary_key=primary is not None,
        object_id=object_id,
        modify_date=modified,
        indexes=tuple(i.names for _, i in sorted(found.indexes.items()) if i.ordered and not i.filtered),
        byte_estimate=None if size is None else int(size),
        description=description or "",
        is_synonym=bool(synonym),
    )


def _key(indexes: dict[int, _Index], nullable: set[str]) -> tuple[str, ...]:
    """The shortest unique index that holds every row once; of equally long ones the clustered, which has the lowest number."""
    keys = [i.names for _, i in sorted(indexes.items()) if i.unique and not i.filtered and not nullable & set(i.names)]
    return min(keys, key=len, default=())
