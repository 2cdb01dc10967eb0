"""Fills a fresh DuckDB file: the same data every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from sandbox.sqlserver import boundary, catalog, functions, values
from sandbox.sqlserver.changes import create_sql
from sandbox.sqlserver.orders import order_tables
from sandbox.sqlserver.parquet import Given, load
from sandbox.sqlserver.queries import Compiler
from sandbox.sqlserver.specs import ColumnSpec, TableSpec, quote
from sandbox.sqlserver.tables import SPECS, VIEWS, small_tables
from sandbox.sqlserver.types import STRINGS, TEMPORAL, SqlType

_GUID = (
    "CREATE OR REPLACE MACRO guid_kept(g) AS unhex(g[25:36] || g[20:23] || g[17:18] || g[15:16] || g[12:13] || g[10:11] "
    "|| g[7:8] || g[5:6] || g[3:4] || g[1:2])"
)
_FIRST_ID = 245_575_913


def tables(scale: float = 1.0) -> dict[str, pa.Table]:
    """Every generated table but dbo.AllTypes by `schema.name`, with plain Arrow types."""
    orders = {
        f"{'Sales' if name.startswith('Sales') else 'Purchasing'}.{name}": table for name, table in order_tables(scale).items()
    }
    return {**orders, **small_tables()}


def fill(main: duckdb.DuckDBPyConnection, scale: float | None, database: str, files: tuple[Given, ...]) -> None:
    """Tables, views and the catalog; without the generated ones when there is no scale.

    Raises ValueError where a file can't become the table it is to be.
    """
    main.execute(_GUID)
    main.execute("CREATE SCHEMA mssys; CREATE SEQUENCE mssys.rowversions START 2001")
    main.execute(
        "CREATE OR REPLACE MACRO dbts() AS unhex(printf('%016X', (SELECT coalesce(last_value, 2000) FROM "
        "duckdb_sequences() WHERE sequence_name = 'rowversions')))"
    )
    specs = [replace(spec, object_id=_FIRST_ID + 16 * number) for number, spec in enumerate(SPECS if scale is not None else [])]
    made = tables(scale) if scale is not None else {}
    for schema in dict.fromkeys(spec.schema for spec in [*specs, TableSpec("dbo", "", [])]):
        main.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    for spec in specs:
        main.execute(create_sql(spec))
        if spec.name == "AllTypes":
            _fill_types(main, spec)
            continue
        main.register("incoming", made[spec.full_name])
        items = [_kept(column.name, column.kind) for column in spec.columns]
        main.execute(f"INSERT INTO {spec.stored} SELECT {', '.join(items)} FROM incoming")
        main.unregister("incoming")
    specs += [load(main, given, _FIRST_ID + 16 * (len(specs) + number)) for number, given in enumerate(files)]
    catalog.save(main, specs, database)
    for macro in functions.MACROS:
        main.execute(macro)
    main.execute("CHECKPOINT")
    for (schema, name), text in (VIEWS if scale is not None else {}).items():
        number = max(spec.object_id for spec in specs) + 16
        statement: Any = sqlglot.parse_one(text, read="tsql")
        query = Compiler(catalog.Catalog(main)).query(statement)
        main.execute(f"CREATE VIEW {quote(schema)}.{quote(name)} AS {query.sql}")
        listed = [ColumnSpec(column, str(kind), kind.nullable) for column, kind in query.columns if kind is not None]
        specs.append(TableSpec(schema, name, listed, select=" ".join(text.split()), object_id=number))
    catalog.save(main, specs, database)


def _kept(name: str, kind: SqlType) -> str:
    """An incoming column as `types` keeps it."""
    column = quote(name)
    if kind.name == "datetime":
        return f"(epoch_us({column}) * 3 + 5000) // 10000 + {25_567 * 25_920_000}"
    if kind.name == "uniqueidentifier":
        return f"guid_kept({column})"
    return f"CAST({column} AS {kind.store})"


def _fill_types(main: duckdb.DuckDBPyConnection, spec: TableSpec) -> None:
    kinds = [column.kind for column in spec.columns]
    text = SqlType("nvarchar", 100)
    for row in boundary.rows():
        given = iter(row)
        cells = []
        for kind in kinds:
            if kind.name == "rowversion":
                cells.append("unhex(printf('%016X', nextval('mssys.rowversions')))")
                continue
            value = next(given)
            if isinstance(value, str) and (kind.name in TEMPORAL or kind.name == "uniqueidentifier"):
                value = values.convert(value, text, kind)
            if value is not None and kind.name in ("char", "nchar") and kind.name in STRINGS:
                value = value.ljust(kind.length)
            if value is not None and kind.name == "binary":
                value = value.ljust(kind.length, b"\0")
            cells.append(values.literal(value, kind))
        main.execute(f"INSERT INTO {spec.stored} VALUES ({', '.join(cells)})")
