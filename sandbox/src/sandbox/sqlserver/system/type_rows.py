"""The rows of sys.types: the system's own types and alias types."""

from __future__ import annotations

from typing import Any

import duckdb

from sandbox.sqlserver.system.catalog_tables import append
from sandbox.sqlserver.system.object_rows import digits, type_ids
from sandbox.sqlserver.types.sql_types import STRINGS, SYSTEM, USER_TYPE_ID, SqlType, max_length

FIRST_ALIAS_ID = 257


def add_alias(cursor: duckdb.DuckDBPyConnection, name: str, kind: SqlType, nullable: bool, collation: str) -> None:
    """An alias type in the schema dbo."""
    found = cursor.execute("SELECT count(*) FROM mssys.aliases").fetchone()
    append(cursor, "aliases", [{"name": name, "type": str(kind), "nullable": nullable}])
    row = _type(name, max_length(kind), digits(kind), collation if kind.name in STRINGS else None)
    facts = {**type_ids(kind), "user_type_id": FIRST_ALIAS_ID + (found[0] if found else 0), "schema_id": 1}
    append(cursor, "types", [{**row, **facts, "is_nullable": nullable, "is_user_defined": True}])


def system_types(collation: str) -> list[dict[str, Any]]:
    """The system's own types."""
    rows = []
    for name, (number, length, precision, scale) in SYSTEM.items():
        shown = "timestamp" if name == "rowversion" else name
        row = _type(shown, length, {"precision": precision, "scale": scale}, collation if name in STRINGS else None)
        ids = {"system_type_id": number, "user_type_id": USER_TYPE_ID.get(name, number), "schema_id": 4}
        rows.append({**row, **ids, "is_assembly_type": number == 240})
    sysname = _type("sysname", 256, {"precision": 0, "scale": 0}, collation)
    return [*rows, {**sysname, "system_type_id": 231, "user_type_id": 256, "schema_id": 4, "is_nullable": False}]


def _type(name: str, length: int, digits: dict[str, int], collation: str | None) -> dict[str, Any]:
    plain = {"principal_id": None, "is_nullable": name != "timestamp", "is_user_defined": False, "is_table_type": False}
    return {"name": name, "max_length": length, **digits, "collation_name": collation, "is_assembly_type": False, **plain}
