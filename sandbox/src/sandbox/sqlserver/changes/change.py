"""A change as DuckDB statements, and what all changes have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb
from sqlglot import exp, parse_one

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.from_clause import spec_of
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.scope import Scope, Source, Typed
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec

ROWVERSION = "unhex(printf('%016X', nextval('mssys.rowversions')))"


@dataclass(frozen=True)
class Change:
    """Statements to run in one transaction; the first one returns the number of rows of `spec` that it changed.

    A change of definitions has the new objects in `puts` and the dropped ones in `drops`; `state` writes what else the
    catalog holds.
    """

    statements: list[str]
    spec: TableSpec | None = None
    puts: list[TableSpec] = field(default_factory=list)
    drops: list[TableSpec] = field(default_factory=list)
    state: Callable[[duckdb.DuckDBPyConnection], None] | None = None
    checks: bool = False
    op: str = ""  # of rows: I, U or D, as change tracking has it
    old_keys: str = ""  # of an update that may change keys: the query of the keys it will change
    truncates: bool = False  # a table whose changes are tracked

    @property
    def defines(self) -> bool:
        """Whether it changes definitions rather than rows."""
        return bool(self.puts or self.drops or self.state)


def changed_table(node: exp.Expression, statement: Statement) -> TableSpec:
    """The table that a statement changes, through synonyms; from now on its rows do not count as stored in key order."""
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


def table_expressions(spec: TableSpec, alias: str, own: str, statement: Statement) -> Expressions:
    """Expressions over a table's columns; `own` is its name in the DuckDB statement."""
    columns = [QueryColumn(column.name, column.kind, column.stored) for column in spec.columns]
    return expressions_in(statement, Scope([Source(alias, own, columns)], statement.catalog.fold))


def parsed(text: str, expressions: Expressions) -> Typed:
    """An expression from its text."""
    return expressions.compile(parse_one(f"SELECT {text}", read="tsql").expressions[0])


def stored(value: str, column: ColumnSpec) -> str:
    """A value as the column stores it: fixed-length text and bytes padded, a value that is too long an error (2628)."""
    return fitted(f"CAST({value} AS {column.kind.store})", column)


def fitted(sql: str, column: ColumnSpec) -> str:
    """The same of a value that has the column's type in DuckDB."""
    kind = column.kind
    if kind.name in ("char", "nchar"):
        return f"padded(fit_text({sql}, {kind.length}, {_text(column.name)}), {kind.length})"
    if kind.name == "binary":
        return f"fit_binary({sql}, {kind.length}, {_text(column.name)})"
    if kind.name in ("varchar", "nvarchar") and kind.length > 0:
        return f"fit_text({sql}, {kind.length}, {_text(column.name)})"
    return sql


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
