"""ALTER TABLE as DuckDB statements and a changed table."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.changes.change import ROWVERSION, Change, changed_table, parsed, stored
from sandbox.sqlserver.changes.column_definitions import column_spec, named_twice
from sandbox.sqlserver.changes.objects import redefined
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.declared_types import data_type
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.scope import Scope
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec
from sandbox.sqlserver.types.collations import collation


def alter_table(node: exp.Alter, statement: Statement) -> Change:
    """ADD, DROP COLUMN and ALTER COLUMN."""
    spec = changed_table(node.this, statement)
    catalog = statement.catalog
    columns, statements = list(spec.columns), []
    for action in node.args.get("actions") or []:
        if isinstance(action, exp.ColumnDef):
            column = _added(column_spec(action, catalog)[0], spec, columns, catalog)
            columns.append(column)
            statements += _add(column, spec, statement)
        elif isinstance(action, exp.Drop) and action.args.get("kind") == "COLUMN":
            for item in action.args["tables"]:
                column = _known(item.name, columns, spec, catalog)
                _independent(column, spec)
                columns.remove(column)
                statements.append(f"ALTER TABLE {spec.stored} DROP COLUMN {column.stored}")
        elif isinstance(action, exp.AlterColumn):
            column = _known(action.name, columns, spec, catalog)
            changed = _retyped(action, column, catalog)
            columns[columns.index(column)] = changed
            statements += _retype(column, changed, spec)
        else:
            raise NotSupported(f"ALTER TABLE … {action.sql(dialect='tsql')[:60]}")
    if not statements:
        raise NotSupported(node.sql(dialect="tsql")[:60])
    return Change(statements, puts=[redefined(replace(spec, columns=columns), catalog)])


def _added(column: ColumnSpec, spec: TableSpec, columns: list[ColumnSpec], catalog: Catalog) -> ColumnSpec:
    if catalog.fold(column.name) in {catalog.fold(other.name) for other in columns}:
        raise named_twice(column.name, spec.full_name)
    return replace(column, number=max(other.number for other in [*spec.columns, *columns]) + 1)


def _add(column: ColumnSpec, spec: TableSpec, statement: Statement) -> list[str]:
    """A new column; existing rows get its default only where it may not be NULL."""
    made = [f"ALTER TABLE {spec.stored} ADD COLUMN {column.stored} {column.kind.store}"]
    if column.kind.name == "rowversion":
        return [*made, f"UPDATE {spec.stored} SET {column.stored} = {ROWVERSION}"]
    if not column.null and not column.default:
        raise SqlError(
            4901,
            "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified. "
            f"Column '{column.name}' cannot be added to non-empty table '{spec.name}' because it does not satisfy these "
            "conditions.",
        )
    if not column.null:
        expressions = expressions_in(statement, Scope([], statement.catalog.fold))
        value = stored(expressions.coerce(parsed(column.default, expressions), column.kind), column)
        made.append(f"UPDATE {spec.stored} SET {column.stored} = {value}")
    return made


def _known(name: str, columns: list[ColumnSpec], spec: TableSpec, catalog: Catalog) -> ColumnSpec:
    for column in columns:
        if catalog.fold(column.name) == catalog.fold(name):
            return column
    raise SqlError(4924, f"ALTER TABLE DROP COLUMN failed because column '{name}' does not exist in table '{spec.name}'.")


def _independent(column: ColumnSpec, spec: TableSpec) -> None:
    used = [spec.key, *spec.unique, *([*index.columns, *index.included] for index in spec.indexes)]
    if any(column.name in names for names in used):
        text = f"ALTER TABLE DROP COLUMN {column.name} failed because one or more objects access this column."
        raise SqlError(4922, text, state=9)


def _retyped(action: exp.AlterColumn, column: ColumnSpec, catalog: Catalog) -> ColumnSpec:
    kind = action.args.get("dtype")
    if kind is None:
        raise NotSupported(f"ALTER TABLE … {action.sql(dialect='tsql')[:60]}")
    named = action.args.get("collate")
    name = collation(named.name).name if named else ""
    allow = action.args.get("allow_null")
    return replace(column, type=str(data_type(kind)), null=True if allow is None else bool(allow), collation=name, alias="")


def _retype(column: ColumnSpec, changed: ColumnSpec, spec: TableSpec) -> list[str]:
    """Statements that change the type; a value that does not fit makes them fail."""
    old, new = column.kind, changed.kind
    statements = [f"UPDATE {spec.stored} SET {column.stored} = {column.stored} WHERE false"]
    if old.store != new.store:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} TYPE {new.store}")
    if column.null and not changed.null:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} SET NOT NULL")
    elif changed.null and not column.null:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} DROP NOT NULL")
    if (new.name in ("char", "nchar", "varchar", "nvarchar", "binary")) and old != new:
        value = stored(column.stored, changed)
        statements.append(f"UPDATE {spec.stored} SET {column.stored} = {value} WHERE {column.stored} IS DISTINCT FROM {value}")
    return statements
