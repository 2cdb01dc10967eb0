"""A change as DuckDB statements, and what all changes have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb
from sqlglot import exp, parse_one

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.from_clause import spec_of
from sandbox.sqlserver.sql.functions.registry import expressions
from sandbox.sqlserver.sql.scope import Scope, Source, Typed
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec

ROWVERSION = "unhex(printf('%016X', nextval('mssys.rowversions')))"


@dataclass(frozen=True)
class Change:
    """Statements to run in one transaction; the first one's count is the answer of a change of rows in `spec`.

    A change of definitions has the new objects in `puts` and the dropped ones in `drops`; `state` writes what else the
    catalog holds.
    """

    statements: list[str]
    spec: TableSpec | None = None
    puts: list[TableSpec] = field(default_factory=list)
    drops: list[TableSpec] = field(default_factory=list)
    state: Callable[[duckdb.DuckDBPyConnection], None] | None = None
    checks: bool = False

    @property
    def defines(self) -> bool:
        """Whether it changes definitions rather than rows."""
        return bool(self.puts or self.drops or self.state)


def changed_table(node: exp.Expression, statement: Statement) -> TableSpec:
    """The table a statement changes, through synonyms; its rows no longer count as stored in key order."""
    if not isinstance(node, exp.Table):
        raise NotSupported(f"changing {node.sql(dialect='tsql')[:60]}")
    spec = spec_of(statement, node)
    if spec.select:
        raise NotSupported(f"changing the view {spec.full_name}")
    if statement.catalog.settings.get("read_only"):
        text = f'Failed to update database "{statement.catalog.database}" because the database is read-only.'
        raise SqlError(3906, text)
    # before any row moves, and for good
    statement.catalog.ordered.discard(spec.object_id)
    statement.catalog.stale.add(spec.object_id)
    return spec


def table_scope(spec: TableSpec, alias: str, own: str, statement: Statement) -> Expressions:
    """Expressions over a table's columns; `own` is its name in the DuckDB statement."""
    columns = [QueryColumn(column.name, column.kind, column.stored) for column in spec.columns]
    return expressions(statement, Scope([Source(alias, own, columns)], statement.catalog.fold))


def parsed(text: str, scope: Expressions) -> Typed:
    """An expression from its text."""
    return scope.compile(parse_one(f"SELECT {text}", read="tsql").expressions[0])


def stored(value: str, column: ColumnSpec) -> str:
    """What a column stores of a value: fixed-length text and bytes are filled up, longer ones refused (2628 by the caller)."""
    kind = column.kind
    sql = f"CAST({value} AS {kind.store})"
    if kind.name in ("char", "nchar"):
        return f"padded(fit_text({sql}, {kind.length}, {_text(column.name)}), {kind.length})"
    if kind.name == "binary":
        return f"fit_binary({sql}, {kind.length}, {_text(column.name)})"
    if kind.name in ("varchar", "nvarchar") and kind.length > 0:
        return f"fit_text({sql}, {kind.length}, {_text(column.name)})"
    return sql


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
