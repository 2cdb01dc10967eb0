"""CREATE, DROP and TRUNCATE of tables, CREATE VIEW and CREATE SCHEMA, as DuckDB statements and catalog objects."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.changes.alter_table import alter_table
from sandbox.sqlserver.changes.change import Change, changed_table
from sandbox.sqlserver.changes.column_definitions import column_spec, named_twice
from sandbox.sqlserver.changes.objects import check_free, create_sql, identity_sql, redefined
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql import change_table
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.catalog import add_schema, drop_schema
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec

# the parser cannot read these words in a constraint, and they make no difference here
_PLACEMENT = re.compile(r"\b(PRIMARY\s+KEY|UNIQUE)\s+(?:CLUSTERED|NONCLUSTERED)\b", re.IGNORECASE)


def for_parser(sql: str) -> str:
    """CREATE TABLE, ALTER TABLE and CHANGETABLE in a form that the parser can read."""
    sql = change_table.for_parser(sql)
    return _PLACEMENT.sub(r"\1", sql) if re.match(r"\s*(CREATE|ALTER)\s+TABLE\b", sql, re.IGNORECASE) else sql


def definition(node: exp.Expression, statement: Statement) -> Change | None:
    """Compiles a definition; None for any other statement. Raises NotSupported for what cannot be defined here."""
    if isinstance(node, exp.TruncateTable):
        spec = changed_table(node.expressions[0], statement)
        counters = [identity_sql(spec)] if any(column.identity for column in spec.columns) else []
        changed = replace(spec, version=statement.catalog.version + 1)
        return Change([f"DELETE FROM {spec.stored}", *counters], puts=[changed], truncates=spec.tracked)
    if isinstance(node, exp.Drop):
        return _drop(node, statement)
    if isinstance(node, exp.Create):
        if node.args.get("kind") == "TABLE":
            return _create(node, statement)
        if node.args.get("kind") == "VIEW":
            return _view(node, statement)
        if node.args.get("kind") == "SCHEMA":
            return _schema(node.this.db, statement)
    if isinstance(node, exp.Alter) and node.args.get("kind") == "TABLE":
        return alter_table(node, statement)
    return None


def _schema(name: str, statement: Statement) -> Change:
    if statement.catalog.fold(name) in statement.catalog.schemas:
        raise SqlError(2714, f"There is already an object named '{name}' in the database.")
    return Change([], state=lambda cursor: add_schema(cursor, statement.catalog, name))


def _drop_schema(name: str, statement: Statement) -> Change:
    catalog, folded = statement.catalog, statement.catalog.fold(name)
    if folded not in catalog.schemas:
        raise SqlError(15151, f"Cannot drop the schema '{name}', because it does not exist or you do not have permission.")
    inside = next((spec.name for spec in catalog.specs.values() if catalog.fold(spec.schema) == folded), None)
    if inside is not None:
        raise SqlError(3729, f"Cannot DROP SCHEMA '{name}' because it is being referenced by object '{inside}'.")
    return Change([], state=lambda cursor: drop_schema(cursor, catalog, name))


def _drop(node: exp.Drop, statement: Statement) -> Change:
    kind = str(node.args.get("kind")).upper()
    if kind == "SCHEMA":
        [named] = node.args.get("tables") or [node.this]
        return _drop_schema(named.db, statement)
    if kind not in ("TABLE", "VIEW"):
        raise NotSupported(f"DROP {kind}")
    statements, gone = [], []
    for table in node.args.get("tables") or [node.this]:
        spec = statement.catalog.spec(table.db, table.name)
        if spec is None or bool(spec.select) != (kind == "VIEW") or spec.target:
            if node.args.get("exists"):
                continue
            name = f"{table.db}.{table.name}" if table.db else table.name
            text = f"Cannot drop the {kind.lower()} '{name}', because it does not exist or you do not have permission."
            raise SqlError(3701, text, severity=11, state=5)
        statements += [] if spec.select else [f"DROP TABLE {spec.stored}"]
        if spec.tracked:
            statements += [f"DROP TABLE {spec.changes}", f"DELETE FROM mssys.tracked WHERE object_id = {spec.object_id}"]
        gone.append(spec)
    return Change(statements, drops=gone)


def _create(node: exp.Create, statement: Statement) -> Change:
    table = node.this.this if isinstance(node.this, exp.Schema) else node.this
    if not isinstance(node.this, exp.Schema):
        raise NotSupported("CREATE TABLE without columns")
    if table.name.startswith("#"):
        raise NotSupported("a temporary table")
    catalog = statement.catalog
    schema = table.db or "dbo"
    check_free(schema, table.name, catalog)
    columns: list[ColumnSpec] = []
    key: list[str] = []
    unique: list[list[str]] = []
    for item in node.this.expressions:
        if isinstance(item, exp.ColumnDef):
            column, primary, single = column_spec(item, catalog)
            if catalog.fold(column.name) in {catalog.fold(other.name) for other in columns}:
                raise named_twice(column.name, table.name)
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
    spec = redefined(TableSpec(schema, table.name, columns, key, unique, object_id=catalog.next_id()), catalog)
    counters = [identity_sql(spec)] if any(column.identity for column in columns) else []
    return Change([create_sql(spec), *counters], puts=[spec])


def _view(node: exp.Create, statement: Statement) -> Change:
    table = node.this.this if isinstance(node.this, exp.Schema) else node.this
    schema = table.db or "dbo"
    check_free(schema, table.name, statement.catalog)
    select = node.expression.sql(dialect="tsql")
    named = [item.name for item in node.this.expressions] if isinstance(node.this, exp.Schema) else []
    query = statement.query(node.expression)
    names = named or [column.name for column in query.columns]
    listed = [
        ColumnSpec(name, str(column.kind or "nvarchar(4000)"), collation=column.kind.collation if column.kind else "")
        for name, column in zip(names, query.columns, strict=True)
    ]
    spec = TableSpec(schema, table.name, listed, select=select, object_id=statement.catalog.next_id())
    return Change([], puts=[redefined(spec, statement.catalog)])
