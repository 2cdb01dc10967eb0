"""The catalog of a new database, before it holds any table."""

from __future__ import annotations

from typing import Any

import duckdb

from sandbox.sqlserver.system.catalog_tables import CREATED, SHAPES, append
from sandbox.sqlserver.system.catalog_views import VIEWS
from sandbox.sqlserver.system.type_rows import add_alias, system_types
from sandbox.sqlserver.types import collations
from sandbox.sqlserver.types.sql_types import parse_type

_OWN_SCHEMAS = ["dbo", "guest", "INFORMATION_SCHEMA", "sys"]
_ALIASES = {"Name": "nvarchar(50)", "AccountNumber": "nvarchar(15)", "Flag": "bit", "OrderNumber": "nvarchar(25)"}


def create_catalog(cursor: duckdb.DuckDBPyConnection, database: str, collation: str) -> None:
    """Makes its tables, views and first rows in an empty DuckDB file."""
    cursor.execute("CREATE SCHEMA mssys; CREATE SCHEMA msinfo; CREATE SCHEMA data")
    for table, shape in SHAPES.items():
        cursor.execute(f"CREATE TABLE mssys.{table} ({shape})")
    append(cursor, "state", [{"name": "collation", "value": collation}, {"name": "snapshot", "value": "ON"}])
    append(cursor, "schemas", [{"name": n, "schema_id": i, "principal_id": i} for i, n in enumerate(_OWN_SCHEMAS, start=1)])
    append(cursor, "types", system_types(collation))
    for name, text in _ALIASES.items():
        add_alias(cursor, name, parse_type(text), True, collation)
    append(cursor, "databases", _databases(database, collation))
    for statement in VIEWS:
        cursor.execute(statement)


def _databases(database: str, collation: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "database_id": number,
            "create_date": CREATED,
            "compatibility_level": 160,
            "collation_name": collation if name == database else collations.DEFAULT,
            "user_access": 0,
            "is_read_only": False,
            "state": 0,
            "state_desc": "ONLINE",
            "snapshot_isolation_state": 1 if name in (database, "master") else 0,
            "snapshot_isolation_state_desc": "ON" if name in (database, "master") else "OFF",
            "is_read_committed_snapshot_on": False,
            "recovery_model_desc": "SIMPLE",
            "is_cdc_enabled": False,
        }
        for number, name in ((1, "master"), (2, "tempdb"), (5, database))
    ]
