"""Fills a fresh DuckDB file: the same data every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import sqlglot

from sandbox.adventureworks.tables import tables
from sandbox.sqlserver.changes.change import ROWVERSION
from sandbox.sqlserver.changes.objects import create_sql, identity_sql
from sandbox.sqlserver.data import all_types
from sandbox.sqlserver.data.content import Content
from sandbox.sqlserver.data.declarations import SPECS, VIEWS
from sandbox.sqlserver.data.parquet_tables import create_and_fill
from sandbox.sqlserver.sql.compiler import Compiler
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.new_catalog import create_catalog
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec, parse_columns, quote
from sandbox.sqlserver.types import stored_values
from sandbox.sqlserver.types.sql_types import STRINGS, TEMPORAL, SqlType

_EXTRA = """
    id int not identity
    code nvarchar(20) not
    name nvarchar(100)
    amount decimal(19,4)
    quantity int
    ratio float
    active bit not
    due date
    changed datetime2(7) not
    data varbinary(50)
"""
_FIRST_ID = 245_575_913


def fill(main: duckdb.DuckDBPyConnection, content: Content, database: str) -> None:
    """Tables, views and the catalog of a fresh file.

    Raises ValueError where a Parquet file cannot become the table asked for.
    """
    create_catalog(main, database, content.collation)
    main.execute("CREATE SEQUENCE mssys.rowversions START 2001")
    generated = content.scale is not None
    specs = [replace(spec, object_id=_FIRST_ID + 16 * number) for number, spec in enumerate(SPECS if generated else [])]
    made = tables(content.scale) if content.scale is not None else {}
    for spec in specs:
        main.execute(create_sql(spec))
        if spec.name == "AllTypes":
            _fill_types(main, spec)
            continue
        main.register("incoming", made[spec.full_name])
        items = [_stored(column.name, column.kind) for column in spec.columns]
        main.execute(f"INSERT INTO {spec.stored} SELECT {', '.join(items)} FROM incoming")
        main.unregister("incoming")
    specs += [
        create_and_fill(main, given, _FIRST_ID + 16 * (len(specs) + number)) for number, given in enumerate(content.parquet)
    ]
    specs += _empty(main, content.tables, _FIRST_ID + 16 * len(specs))
    for spec in specs:
        for column in (column for column in spec.columns if column.identity):
            last = main.execute(f"SELECT coalesce(max({column.stored}), 0) FROM {spec.stored}").fetchone()
            main.execute(identity_sql(spec, last[0] + 1 if last else 1))
    catalog = Catalog(main, database)
    catalog.save(main, specs)
    catalog.put(specs)
    views: list[TableSpec] = []
    for (schema, name), text in (VIEWS if generated else {}).items():
        statement: Any = sqlglot.parse_one(text, read="tsql")
        query = Compiler(catalog).query(statement)
        listed = [ColumnSpec(c.name, str(c.kind), c.kind.nullable) for c in query.columns if c.kind is not None]
        views.append(TableSpec(schema, name, listed, select=" ".join(text.split()), object_id=catalog.next_id()))
    catalog.save(main, views)


def _empty(main: duckdb.DuckDBPyConnection, count: int, first: int) -> list[TableSpec]:
    """Empty tables in ten schemas, for a discovery that has much to find."""
    shape = parse_columns(_EXTRA)
    specs = [
        TableSpec(f"extra{n % 10}", f"Table{n:05d}", shape, ["id"], [["code"]], object_id=first + 16 * n, note=f"Extra {n}.")
        for n in range(count)
    ]
    if specs:
        main.execute("BEGIN TRANSACTION")
        for spec in specs:
            main.execute(create_sql(spec))
        main.execute("COMMIT")
    return specs


def _stored(name: str, kind: SqlType) -> str:
    """An incoming column's stored value (see `sql_types`)."""
    column = quote(name)
    if kind.name == "datetime":
        return f"(epoch_us({column}) * 3 + 5000) // 10000 + {25_567 * 25_920_000}"
    if kind.name == "uniqueidentifier":
        return f"guid_stored({column})"
    return f"CAST({column} AS {kind.store})"


def _fill_types(main: duckdb.DuckDBPyConnection, spec: TableSpec) -> None:
    kinds = [column.kind for column in spec.columns]
    text = SqlType("nvarchar", 100)
    for row in all_types.rows():
        given = iter(row)
        cells = []
        for kind in kinds:
            if kind.name == "rowversion":
                cells.append(ROWVERSION)
                continue
            value = next(given)
            if isinstance(value, str) and (kind.name in TEMPORAL or kind.name == "uniqueidentifier"):
                value = stored_values.convert(value, text, kind)
            if value is not None and kind.name == "sql_variant":
                value = stored_values.variant(SqlType("nvarchar", 100), value)
            if value is not None and kind.name in ("char", "nchar") and kind.name in STRINGS:
                value = value.ljust(kind.length)
            if value is not None and kind.name == "binary":
                value = value.ljust(kind.length, b"\0")
            cells.append(stored_values.literal(value, kind))
        main.execute(f"INSERT INTO {spec.stored} VALUES ({', '.join(cells)})")
