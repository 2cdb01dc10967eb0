"""Objects and columns by the names that a statement gives."""

from __future__ import annotations

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.objects import redefined
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import TableSpec


def named_table(name: tuple[str, ...], statement: Statement) -> TableSpec:
    """A table, which is no view and no synonym. Raises SqlError 1088."""
    spec = statement.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None or spec.select or spec.target:
        text = f'Cannot find the object "{".".join(name)}" because it does not exist or you do not have permissions.'
        raise SqlError(1088, text, state=12)
    return spec


def exact_column(name: str, spec: TableSpec, statement: Statement) -> str:
    """A column's exact name. Raises SqlError 1911."""
    for column in spec.columns:
        if statement.catalog.fold(column.name) == statement.catalog.fold(name):
            return column.name
    raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")


def definition_change(spec: TableSpec, statement: Statement, statements: tuple[str, ...] = ()) -> Change:
    """A change of one object's definition, and what DuckDB has to do for it."""
    return Change([*statements], puts=[redefined(spec, statement.catalog)])
