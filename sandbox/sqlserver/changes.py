"""INSERT, UPDATE, DELETE and the data definition a test needs, as DuckDB statements."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError, no_column
from sandbox.sqlserver.expressions import Expressions, Scope, Source, Typed, data_type
from sandbox.sqlserver.queries import Compiler
from sandbox.sqlserver.specs import ColumnSpec, TableSpec, quote
from sandbox.sqlserver.types import SqlType

ROWVERSION = "unhex(printf('%016X', nextval('mssys.rowversions')))"


@dataclass(frozen=True)
class Change:
    """Statements to run in one transaction; the first one's count is the answer. `specs` is the new catalog."""

    statements: list[str]
    spec: TableSpec | None = None
    specs: list[TableSpec] | None = None


def change(node: exp.Expression, compiler: Compiler) -> Change:
    """Raises NotSupported for other statements, by name."""
    if isinstance(node, exp.Insert):
        return _insert(node, compiler)
    if isinstance(node, exp.Update):
        return _update(node, compiler)
    if isinstance(node, exp.Delete):
        return _delete(node, compiler)
    if isinstance(node, exp.TruncateTable):
        return Change([f"DELETE FROM {_spec(node.expressions[0], compiler).stored}"])
    if isinstance(node, exp.Drop) and node.args.get("kind") == "TABLE":
        return _drop(node, compiler)
    if isinstance(node, exp.Create) and node.args.get("kind") == "TABLE":
        return _create(node, compiler)
    if isinstance(node, exp.Create) and node.args.get("kind") == "SCHEMA":
        return Change([f"CREATE SCHEMA {quote(node.this.db)}"])
    if isinstance(node, exp.Alter):
        return _alter(node, compiler)
    word = node.name if isinstance(node, exp.Command) else type(node).__name__
    raise NotSupported(f"{word.upper()} ({node.sql(dialect='tsql')[:60]})")


def _spec(node: exp.Expression, compiler: Compiler) -> TableSpec:
    if not isinstance(node, exp.Table):
        raise NotSupported(f"changing {node.sql(dialect='tsql')[:60]}")
    compiler.table(node)
    spec = compiler.catalog.specs.get(((node.db or "dbo").lower(), node.name.lower()))
    if spec is None or spec.select:
        raise NotSupported(f"changing the view {node.db}.{node.name}")
    # before any row moves, and for good
    compiler.catalog.ordered.discard(spec.object_id)
    return spec


def recomputed(spec: TableSpec, compiler: Compiler) -> list[str]:
    """Brings computed columns up to date after a change."""
    expressions = Expressions(compiler, Scope([Source(spec.name, [(c.name, c.kind) for c in spec.columns])]))
    found = []
    for column in (column for column in spec.columns if column.computed):
        value = expressions.coerce(_parsed(column.computed, expressions), column.kind)
        value = f"CAST({value} AS {column.kind.store})"
        found.append(
            f"UPDATE {spec.stored} AS {quote(spec.name)} SET {quote(column.name)} = {value} "
            f"WHERE {quote(column.name)} IS DISTINCT FROM {value}"
        )
    return found


def _parsed(text: str, expressions: Expressions) -> Typed:
    from sqlglot import parse_one

    return expressions.compile(parse_one(f"SELECT {text}", read="tsql").expressions[0])


def _insert(node: exp.Insert, compiler: Compiler) -> Change:
    if node.args.get("returning") or node.args.get("default"):
        raise NotSupported("INSERT with OUTPUT or DEFAULT VALUES")
    target = node.this
    named = [column.name for column in target.expressions] if isinstance(target, exp.Schema) else []
    spec = _spec(target.this if named else target, compiler)
    known = {column.name.lower(): column for column in spec.columns}
    automatic = [column for column in spec.columns if column.identity or column.computed or _is_version(column)]
    for name in named:
        if name.lower() not in known:
            raise no_column(name)
        if known[name.lower()].computed or _is_version(known[name.lower()]):
            raise SqlError(271, f'The column "{name}" cannot be modified because it is computed or a rowversion.')
    columns = [known[n.lower()] for n in named] or [column for column in spec.columns if column not in automatic]
    source, given = _incoming(node.expression, columns, compiler)
    listed, items = [quote(column.name) for column in columns], list(given)
    for column in (column for column in spec.columns if column not in columns and not column.computed):
        if column.identity:
            items.append(f"(SELECT coalesce(max({quote(column.name)}), 0) FROM {spec.stored}) + row_number() OVER ()")
        elif _is_version(column):
            items.append(ROWVERSION)
        elif column.default:
            scope = Expressions(compiler, Scope([]))
            items.append(scope.coerce(_parsed(column.default, scope), column.kind))
        else:
            continue
        listed.append(quote(column.name))
    sql = f"INSERT INTO {spec.stored} ({', '.join(listed)}) SELECT {', '.join(items)} FROM ({source})"
    return Change([sql, *recomputed(spec, compiler)], spec)


def _incoming(source: exp.Expression, columns: list[ColumnSpec], compiler: Compiler) -> tuple[str, list[str]]:
    """The rows to insert as a derived table, and the items to select from it."""
    names = [f"v{number}" for number in range(len(columns))]
    expressions = Expressions(compiler, Scope([]))
    wrong = SqlError(213, "Column name or number of supplied values does not match table definition.")
    if isinstance(source, exp.Values):
        rows = []
        for item in source.expressions:
            cells = item.expressions if isinstance(item, exp.Tuple) else [item]
            if len(cells) != len(columns):
                raise wrong
            rows.append(
                "("
                + ", ".join(
                    f"CAST({expressions.coerce(expressions.compile(cell), c.kind)} AS {c.kind.store})"
                    for cell, c in zip(cells, columns, strict=True)
                )
                + ")"
            )
        return f"SELECT * FROM (VALUES {', '.join(rows)}) AS x({', '.join(names)})", names
    query = compiler.query(source)
    if len(query.columns) != len(columns):
        raise wrong
    items = [
        f"CAST({expressions.coerce(Typed(name, kind), column.kind)} AS {column.kind.store})"
        for name, (_, kind), column in zip(names, query.columns, columns, strict=True)
    ]
    return f"SELECT * FROM ({query.sql}) AS x({', '.join(names)})", items


def _is_version(column: ColumnSpec) -> bool:
    return column.kind.name == "rowversion"


def _update(node: exp.Update, compiler: Compiler) -> Change:
    if node.args.get("from_") or node.args.get("returning"):
        raise NotSupported("UPDATE with FROM or OUTPUT")
    spec = _spec(node.this, compiler)
    alias = node.this.alias or spec.name
    scope = Expressions(compiler, Scope([Source(alias, [(c.name, c.kind) for c in spec.columns])]))
    known = {column.name.lower(): column for column in spec.columns}
    items = []
    for item in node.expressions:
        column = known.get(item.this.name.lower())
        if column is None:
            raise no_column(item.this.name)
        if column.computed or column.identity or _is_version(column):
            raise SqlError(271, f'The column "{column.name}" cannot be modified because it is computed.')
        value = scope.coerce(scope.compile(item.expression), column.kind)
        items.append(f"{quote(column.name)} = CAST({value} AS {column.kind.store})")
    items += [f"{quote(column.name)} = {ROWVERSION}" for column in spec.columns if _is_version(column)]
    sql = f"UPDATE {spec.stored} AS {quote(alias)} SET {', '.join(items)}{_where(node, scope)}"
    return Change([sql, *recomputed(spec, compiler)], spec)


def _delete(node: exp.Delete, compiler: Compiler) -> Change:
    tables = node.args.get("tables")
    if node.args.get("returning") or node.args.get("using") or (tables and node.this):
        raise NotSupported("DELETE with TOP, FROM … JOIN or OUTPUT")
    spec = _spec(tables[0] if tables else node.this, compiler)
    scope = Expressions(compiler, Scope([Source(spec.name, [(c.name, c.kind) for c in spec.columns])]))
    return Change([f"DELETE FROM {spec.stored} AS {quote(spec.name)}{_where(node, scope)}"])


def _where(node: exp.Expression, scope: Expressions) -> str:
    where = node.args.get("where")
    return f" WHERE {scope.text(where.this)}" if where is not None else ""


def _drop(node: exp.Drop, compiler: Compiler) -> Change:
    statements, gone = [], []
    for table in node.args["tables"]:
        try:
            spec = _spec(table, compiler)
        except SqlError as error:
            if error.number == 208 and node.args.get("exists"):
                continue
            name = f"{table.db}.{table.name}" if table.db else table.name
            text = f"Cannot drop the table '{name}', because it does not exist or you do not have permission."
            raise SqlError(3701, text) if error.number == 208 else error from None
        statements.append(f"DROP TABLE {spec.stored}")
        gone.append(spec.object_id)
    return Change(statements, specs=[s for s in compiler.catalog.specs.values() if s.object_id not in gone])


def _create(node: exp.Create, compiler: Compiler) -> Change:
    table = node.this.this if isinstance(node.this, exp.Schema) else node.this
    if not isinstance(node.this, exp.Schema):
        raise NotSupported("CREATE TABLE without columns")
    if table.name.startswith("#"):
        raise NotSupported("a temporary table")
    schema = table.db or "dbo"
    if compiler.catalog.find(schema, table.name):
        raise SqlError(2714, f"There is already an object named '{table.name}' in the database.")
    specs = list(compiler.catalog.specs.values())
    columns: list[ColumnSpec] = []
    key: list[str] = []
    unique: list[list[str]] = []
    for item in node.this.expressions:
        if isinstance(item, exp.ColumnDef):
            column, primary = _column(item)
            columns.append(column)
            key += [column.name] if primary else []
            continue
        names = [c.name for c in item.find_all(exp.Identifier)][1 if isinstance(item, exp.Constraint) else 0 :]
        if item.find(exp.PrimaryKeyColumnConstraint, exp.PrimaryKey):
            key = names
        elif item.find(exp.UniqueColumnConstraint):
            unique.append(names)
        else:
            raise NotSupported(f"the constraint {item.sql(dialect='tsql')[:60]}")
    key = list(dict.fromkeys(key))
    columns = [replace(c, null=c.null and c.name not in key) for c in columns]
    number = max((spec.object_id for spec in specs), default=1_000_000) + 16
    spec = TableSpec(schema, table.name, columns, key, unique, object_id=number)
    return Change([f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}", create_sql(spec)], specs=[*specs, spec])


def create_sql(spec: TableSpec) -> str:
    """CREATE TABLE for DuckDB; keys are checked by the session."""
    listed = ", ".join(f"{quote(c.name)} {c.kind.store}{'' if c.null or c.computed else ' NOT NULL'}" for c in spec.columns)
    return f"CREATE TABLE {spec.stored} ({listed})"


def _column(item: exp.ColumnDef) -> tuple[ColumnSpec, bool]:
    kinds = [constraint.args["kind"] for constraint in item.args.get("constraints") or []]
    primary = any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds)
    null = not primary and not any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null") for kind in kinds
    )
    identity = any(isinstance(kind, exp.GeneratedAsIdentityColumnConstraint) for kind in kinds)
    default = next((k.this.sql(dialect="tsql") for k in kinds if isinstance(k, exp.DefaultColumnConstraint)), "")
    if item.args.get("kind") is None:
        raise NotSupported(f"a computed column in CREATE TABLE ({item.name})")
    declared: SqlType = data_type(item.args["kind"])
    return ColumnSpec(item.name, str(declared), null and not identity, identity, default=default), primary


def _alter(node: exp.Alter, compiler: Compiler) -> Change:
    spec = _spec(node.this, compiler)
    columns, statements = list(spec.columns), []
    for action in node.args.get("actions") or []:
        if isinstance(action, exp.ColumnDef):
            column, _ = _column(action)
            columns.append(replace(column, null=True))
            statements.append(f"ALTER TABLE {spec.stored} ADD COLUMN {quote(column.name)} {column.kind.store}")
        elif isinstance(action, exp.Drop) and action.args.get("kind") == "COLUMN":
            gone = {item.name.lower() for item in action.args["tables"]}
            columns = [column for column in columns if column.name.lower() not in gone]
            statements += [f"ALTER TABLE {spec.stored} DROP COLUMN {quote(name)}" for name in sorted(gone)]
        else:
            raise NotSupported(f"ALTER TABLE … {action.sql(dialect='tsql')[:60]}")
    if not statements:
        raise NotSupported(node.sql(dialect="tsql")[:60])
    changed = replace(spec, columns=columns)
    others = [changed if s.object_id == spec.object_id else s for s in compiler.catalog.specs.values()]
    return Change(statements, specs=others)
