"""Primary keys, unique constraints and unique indexes. DuckDB does not enforce them, so changes that could break one check."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.changes.change import parsed, table_expressions
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import TableSpec, key_name, unique_name


def duplicate_queries(spec: TableSpec, statement: Statement) -> list[tuple[str, SqlError]]:
    """Queries that find a duplicate key, each with the error to raise."""
    expressions = table_expressions(spec, spec.name, "k", statement)
    rules: list[tuple[list[str], str, str]] = []
    if spec.key:
        rules.append((spec.key, "", _violated("PRIMARY KEY", key_name(spec), spec)))
    rules += [(names, "", _violated("UNIQUE KEY", unique_name(spec, names), spec)) for names in spec.unique]
    for index in spec.indexes:
        if index.unique and not index.disabled:
            text = f"Cannot insert duplicate key row in object '{spec.full_name}' with unique index '{index.name}'."
            rules.append((index.columns, index.where, text))
    found = []
    for names, where, text in rules:
        values = [expressions.compile(exp.column(exp.to_identifier(name, quoted=True))) for name in names]
        keys = ", ".join(expressions.sort_key(value) for value in values)
        shown = ", ".join(f"CAST(first({value.sql}) AS VARCHAR)" for value in values)
        condition = f" WHERE {parsed('CASE WHEN ' + where + ' THEN 1 END', expressions).sql} = 1" if where else ""
        sql = f"SELECT {shown} FROM {spec.stored} AS k{condition} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
        found.append((sql, SqlError(2601 if text.startswith("Cannot") else 2627, text, severity=14)))
    return found


def _violated(what: str, name: str, spec: TableSpec) -> str:
    return f"Violation of {what} constraint '{name}'. Cannot insert duplicate key in object '{spec.full_name}'."
