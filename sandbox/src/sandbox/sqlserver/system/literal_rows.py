"""Rows that the server makes up as it answers, as a DuckDB expression for FROM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.types.sql_types import SqlType
from sandbox.sqlserver.types.stored_values import literal


def literal_rows(shape: Sequence[tuple[str, SqlType]], rows: Sequence[Sequence[Any]]) -> tuple[str, list[QueryColumn]]:
    """At least one row with these columns, and the columns."""
    cells = [f"({', '.join(literal(value, kind) for value, (_, kind) in zip(row, shape, strict=True))})" for row in rows]
    names = ", ".join(f"d{number}" for number in range(len(shape)))
    columns = [QueryColumn(name, kind, f"d{number}") for number, (name, kind) in enumerate(shape)]
    return f"(SELECT * FROM (VALUES {', '.join(cells)}) AS x({names}))", columns
