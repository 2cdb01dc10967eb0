"""CREATE, ALTER, DROP and TRUNCATE of tables, and CREATE VIEW, as DuckDB statements and new catalog objects."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.changes.rows import ROWVERSION, Change, changed_table, padded, parsed
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions, data_type
from sandbox.sqlserver.sql.queries import Compiler
from sandbox.sqlserver.sql.scope import Scope
from sandbox.sqlserver.system.catalog import Catalog, add_schema
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.sql_types import SqlType

# the parser knows no constraint with these words; they decide nothing here
_PLACEMENT = re.compile(r"\b(PRIMARY\s+KEY|UNIQUE)\s+(?:CLUSTERED|NONCLUSTERED)\b", re.IGNORECASE)


def simplified(sql: str) -> str:
    """CREATE TABLE and ALTER TABLE in words the parser knows."""
    return _PLACEMENT.sub(r"\1", sql) if re.match(r"\s*(CREATE|ALTER)\s+TABLE\b", sql, re.IGNORECASE) else sql


def now() -> int:
    """This moment as `datetime` is kept."""
    return int(time.time() * 300) + 25_567 * 25_920_000


def touched(spec: TableSpec, catalog: Catalog) -> TableSpec:
    """An object whose definition changes now."""
    return replace(spec, modified=max(now(), spec.modified + 1), version=catalog.version + 1, created=spec.created or now())


def definition(node: exp.Expression, compiler: Compiler) -> Change | None:
    """None for a statement that defines nothing; raises NotSupported for what can't be defined here."""
    if isinstance(node, exp.TruncateTable):
        spec = changed_table(node.expressions[0], compiler)
        counters = [identity_sql(spec)] if any(column.identity for column in spec.columns) else []
        changed = replace(spec, version=compiler.catalog.version + 1)
        return Change([f"DELETE FROM {spec.stored}", *counters], puts=[changed])
    if isinstance(node, exp.Drop):
        return _drop(node, compiler)
    if isinstance(node, exp.Create):
        if node.args.get("kind") == "TABLE":
            return _create(node, compiler)
        if node.args.get("kind") == "VIEW":
            return _view(node, compiler)
        if node.args.get("kind") == "SCHEMA":
            return _schema(node.this.db, compiler)
    if isinstance(node, exp.Alter) and node.args.get("kind") == "TABLE":
        return _alter(node, compiler)
    return None


def _schema(name: str, compiler: Compiler) -> Change:
    if compiler.catalog.fold(name) in compiler.catalog.schemas:
        raise SqlError(2714, f"There is already an object named '{name}' in the database.")
    return Change([], state=lambda cursor: add_schema(cursor, compiler.catalog, name))


def _drop(node: exp.Drop, compiler: Compiler) -> Change:
    kind = str(node.args.get("kind")).upper()
    if kind not in ("TABLE", "VIEW"):
        raise NotSupported(f"DROP {kind}")
    statements, gone = [], []
    for table in node.args.get("tables") or [node.this]:
        spec = compiler.catalog.spec(table.db, table.name)
        if spec is None or bool(spec.select) != (kind == "VIEW") or spec.target:
            if node.args.get("exists"):
                continue
            name = f"{table.db}.{table.name}" if table.db else table.name
            text = f"Cannot drop the {kind.lower()} '{name}', because it does not exist or you do not have permission."
            raise SqlError(3701, text, severity=11, state=5)
        statements += [] if spec.select else [f"DROP TABLE {spec.stored}"]
        gone.append(spec)
    return Change(statements, drops=gone)


def free(schema: str, name: str, catalog: Catalog) -> None:
    """Raises SqlError 2714 where an object has the name, 2760 where the schema isn't there."""
    if catalog.spec(schema, name) is not None:
        raise SqlError(2714, f"There is already an object named '{name}' in the database.", state=6)
    if catalog.fold(schema) not in catalog.schemas:
        raise SqlError(
            2760, f'The specified schema name "{schema}" either does not exist or you do not have permission to use it.'
        )


def _create(node: exp.Create, compiler: Compiler) -> Change:
    table = node.this.this if isinstance(node.this, exp.Schema) else node.this
    if not isinstance(node.this, exp.Schema):
        raise NotSupported("CREATE TABLE without columns")
    if table.name.startswith("#"):
        raise NotSupported("a temporary table")
    catalog = compiler.catalog
    schema = table.db or "dbo"
    free(schema, table.name, catalog)
    columns: list[ColumnSpec] = []
    key: list[str] = []
    unique: list[list[str]] = []
    for item in node.this.expressions:
        if isinstance(item, exp.ColumnDef):
            column, primary, single = column_spec(item, catalog)
            if catalog.fold(column.name) in {catalog.fold(other.name) for other in columns}:
                raise _twice(column.name, table.name)
            columns.append(column)
            key += [column.name] if primary else []
            unique += [[column.name]] if single else []
            continue
        names = [c.name for c in item.find_all(exp.Identifier)][1 if isinstance(item, exp.Constraint) else 0 :]
        if item.find(exp.PrimaryKeyColumnConstraint, exp.PrimaryKey):
            key = names
        elif item.find(exp.UniqueColumnConstraint):
            unique.append(names)
        else:
            raise NotSupported(f"the constraint {item.sql(dialect='tsql')[:60]}")
    exact = {catalog.fold(column.name): column.name for column in columns}
    for name in [*key, *(name for names in unique for name in names)]:
        if catalog.fold(name) not in exact:
            raise SqlError(1911, f"Column name '{name}' does not exist in the target table or view.")
    key = list(dict.fromkeys(exact[catalog.fold(name)] for name in key))
    unique = [[exact[catalog.fold(name)] for name in names] for names in unique]
    columns = [replace(c, null=c.null and c.name not in key) for c in columns]
    spec = touched(TableSpec(schema, table.name, columns, key, unique, object_id=catalog.next_id()), catalog)
    counters = [identity_sql(spec)] if any(column.identity for column in columns) else []
    return Change([create_sql(spec), *counters], puts=[spec])


def create_sql(spec: TableSpec) -> str:
    """CREATE TABLE for DuckDB; keys are checked by the session."""
    listed = ", ".join(f"{c.stored} {c.kind.store}{'' if c.null or c.computed else ' NOT NULL'}" for c in spec.columns)
    return f"CREATE TABLE {spec.stored} ({listed})"


def identity_sql(spec: TableSpec, first: int = 1) -> str:
    """The counter of a table's identity column, for DuckDB."""
    return f"CREATE OR REPLACE SEQUENCE {spec.identity} START {first}"


def column_spec(item: exp.ColumnDef, catalog: Catalog) -> tuple[ColumnSpec, bool, bool]:
    """A column's definition, whether it is the primary key and whether it is unique."""
    kinds = [constraint.args["kind"] for constraint in item.args.get("constraints") or []]
    primary = any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds)
    single = any(isinstance(kind, exp.UniqueColumnConstraint) for kind in kinds)
    null = not primary and not any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds
    )
    identity = any(isinstance(kind, exp.GeneratedAsIdentityColumnConstraint) for kind in kinds)
    default = next((k.this.sql(dialect="tsql") for k in kinds if isinstance(k, exp.DefaultColumnConstraint)), "")
    named = next((k.this.name for k in kinds if isinstance(k, exp.CollateColumnConstraint)), "")
    if item.args.get("kind") is None:
        raise NotSupported(f"a computed column in CREATE TABLE ({item.name})")
    alias = _alias(item.args["kind"], catalog)
    declared: SqlType = catalog.aliases[alias][0] if alias else data_type(item.args["kind"])
    if named:
        named = collation(named).name
    null = null and not identity and not (declared.name == "rowversion" and not kinds)
    return ColumnSpec(item.name, str(declared), null, identity, default=default, alias=alias, collation=named), primary, single


def _alias(kind: exp.Expression, catalog: Catalog) -> str:
    """The alias type a column is declared with; empty for a system type."""
    if not isinstance(kind, exp.DataType) or kind.this != exp.DataType.Type.USERDEFINED:
        return ""
    name = str(kind.args.get("kind")).split(".")[-1].strip('[]"')
    return next((alias for alias in catalog.aliases if catalog.fold(alias) == catalog.fold(name)), "")


def _view(node: exp.Create, compiler: Compiler) -> Change:
    table = node.this.this if isinstance(node.this, exp.Schema) else node.this
    schema = table.db or "dbo"
    free(schema, table.name, compiler.catalog)
    select = node.expression.sql(dialect="tsql")
    named = [item.name for item in node.this.expressions] if isinstance(node.this, exp.Schema) else []
    query = compiler.query(node.expression)
    names = named or [offer.name for offer in query.columns]
    listed = [
        ColumnSpec(name, str(offer.kind or "nvarchar(4000)"), collation=offer.kind.collation if offer.kind else "")
        for name, offer in zip(names, query.columns, strict=True)
    ]
    spec = TableSpec(schema, table.name, listed, select=select, object_id=compiler.catalog.next_id())
    return Change([], puts=[touched(spec, compiler.catalog)])


def _alter(node: exp.Alter, compiler: Compiler) -> Change:
    spec = changed_table(node.this, compiler)
    catalog = compiler.catalog
    columns, statements = list(spec.columns), []
    for action in node.args.get("actions") or []:
        if isinstance(action, exp.ColumnDef):
            column = _added(column_spec(action, catalog)[0], spec, columns, catalog)
            columns.append(column)
            statements += _add(column, spec, compiler)
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
    return Change(statements, puts=[touched(replace(spec, columns=columns), catalog)])


def _twice(column: str, table: str) -> SqlError:
    text = f"Column names in each table must be unique. Column name '{column}' in table '{table}' is specified more than once."
    return SqlError(2705, text, state=4)


def _added(column: ColumnSpec, spec: TableSpec, columns: list[ColumnSpec], catalog: Catalog) -> ColumnSpec:
    if catalog.fold(column.name) in {catalog.fold(other.name) for other in columns}:
        raise _twice(column.name, spec.full_name)
    return replace(column, number=max(other.number for other in [*spec.columns, *columns]) + 1)


def _add(column: ColumnSpec, spec: TableSpec, compiler: Compiler) -> list[str]:
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
        scope = Expressions(compiler, Scope([], compiler.catalog.fold))
        value = padded(scope.coerce(parsed(column.default, scope), column.kind), column)
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
    """The new type; a value that doesn't fit it ends the statement."""
    old, new = column.kind, changed.kind
    statements = [f"UPDATE {spec.stored} SET {column.stored} = {column.stored} WHERE false"]
    if old.store != new.store:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} TYPE {new.store}")
    if column.null and not changed.null:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} SET NOT NULL")
    elif changed.null and not column.null:
        statements.append(f"ALTER TABLE {spec.stored} ALTER COLUMN {column.stored} DROP NOT NULL")
    if (new.name in ("char", "nchar", "varchar", "nvarchar", "binary")) and old != new:
        kept = padded(column.stored, changed)
        statements.append(f"UPDATE {spec.stored} SET {column.stored} = {kept} WHERE {column.stored} IS DISTINCT FROM {kept}")
    return statements
