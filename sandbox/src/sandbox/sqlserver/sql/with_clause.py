"""WITH: common table expressions."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.sql.scope import Scope
from sandbox.sqlserver.sql.statement import Statement


def with_clause(statement: Statement, node: exp.Expression, outer: Scope | None) -> str:
    """WITH as DuckDB text, empty without one; the rest of the statement can use its tables."""
    clause = node.args.get("with_")
    if clause is None:
        return ""
    parts = []
    for cte in clause.expressions:
        inner = statement.query(cte.this, outer)
        names = [column.name for column in cte.args["alias"].columns] or [column.name for column in inner.columns]
        stored = statement.name("q")
        columns = [replace(column, name=n) for n, column in zip(names, inner.columns, strict=True)]
        statement.ctes[statement.catalog.fold(cte.alias)] = (stored, columns)
        parts.append(f"{stored} AS ({inner.sql})")
    return f"WITH {', '.join(parts)} "
