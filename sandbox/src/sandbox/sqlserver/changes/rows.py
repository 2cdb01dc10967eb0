"""INSERT, UPDATE and DELETE as DuckDB statements."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.changes.change import ROWVERSION, Change, changed_table, fitted, parsed, stored, table_expressions
from sandbox.sqlserver.errors import NotSupported, SqlError, no_column
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.scope import Scope, Typed
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec


def row_change(node: exp.Expression, statement: Statement) -> Change:
    """Compiles INSERT, UPDATE or DELETE. Raises NotSupported for any other statement, by name."""
    if isinstance(node, exp.Insert):
        return _insert(node, statement)
    if isinstance(node, exp.Update):
        return _update(node, statement)
    if isinstance(node, exp.Delete):
        return _delete(node, statement)
    word = node.name if isinstance(node, exp.Command) else type(node).__name__
    raise NotSupported(f"{word.upper()} ({node.sql(dialect='tsql')[:60]})")


def _recomputed(spec: TableSpec, statement: Statement) -> list[str]:
    """Statements that bring computed columns up to date."""
    expressions = table_expressions(spec, spec.name, "r", statement)
    found = []
    for column in (column for column in spec.columns if column.computed):
        value = expressions.coerce(parsed(column.computed, expressions), column.kind)
        value = f"CAST({value} AS {column.kind.store})"
        found.append(f"UPDATE {spec.stored} AS r SET {column.stored} = {value} WHERE r.{column.stored} IS DISTINCT FROM {value}")
    return found


def _insert(node: exp.Insert, statement: Statement) -> Change:
    if node.args.get("returning"):
        raise NotSupported("INSERT with OUTPUT")
    target = node.this
    named = [column.name for column in target.expressions] if isinstance(target, exp.Schema) else []
    spec = changed_table(target.this if named else target, statement)
    fold = statement.catalog.fold
    known = {fold(column.name): column for column in spec.columns}
    automatic = [column for column in spec.columns if column.identity or column.computed or _is_version(column)]
    for name in named:
        if fold(name) not in known:
            raise no_column(name)
        if known[fold(name)].computed or _is_version(known[fold(name)]):
            raise SqlError(271, f'The column "{name}" cannot be modified because it is computed or a rowversion.')
    columns = [known[fold(n)] for n in named] or [column for column in spec.columns if column not in automatic]
    given: list[str] = []
    if node.args.get("default"):
        columns, source = [], "SELECT 1"
    else:
        source, given = _incoming(node.expression, columns, statement)
    listed, items = [column.stored for column in columns], list(given)
    for column in (column for column in spec.columns if column not in columns and not column.computed):
        if column.identity:
            # values that were given explicitly count, too
            highest = f"(SELECT coalesce(max({column.stored}), 0) FROM {spec.stored})"
            items.append(f"greatest(nextval('{spec.identity}'), {highest} + row_number() OVER ())")
        elif _is_version(column):
            items.append(ROWVERSION)
        elif column.default:
            expressions = expressions_in(statement, Scope([], fold))
            items.append(stored(expressions.coerce(parsed(column.default, expressions), column.kind), column))
        else:
            continue
        listed.append(column.stored)
    sql = f"INSERT INTO {spec.stored} ({', '.join(listed)}) SELECT {', '.join(items)} FROM ({source})"
    return Change([sql, *_recomputed(spec, statement)], spec, checks=True, op="I")


def _incoming(source: exp.Expression, columns: list[ColumnSpec], statement: Statement) -> tuple[str, list[str]]:
    """The rows to insert as a derived table, and the items to select from it."""
    names = [f"v{number}" for number in range(len(columns))]
    expressions = expressions_in(statement, Scope([], statement.catalog.fold))
    wrong = SqlError(213, "Column name or number of supplied values does not match table definition.")
    if isinstance(source, exp.Values):
        rows = []
        for item in source.expressions:
            cells = item.expressions if isinstance(item, exp.Tuple) else [item]
            if len(cells) != len(columns):
                raise wrong
            values = [(_cell(cell, column, expressions), column.kind.store) for cell, column in zip(cells, columns, strict=True)]
            rows.append(f"({', '.join(f'CAST({value} AS {kind})' for value, kind in values)})")
        # fitted once for all rows: 500 rows cost DuckDB half a second where it plans that for each value
        items = [fitted(name, column) for name, column in zip(names, columns, strict=True)]
        return f"SELECT * FROM (VALUES {', '.join(rows)}) AS x({', '.join(names)})", items
    query = statement.query(source)
    if len(query.columns) != len(columns):
        raise wrong
    items = [
        stored(expressions.coerce(Typed(name, given.kind), column.kind), column)
        for name, given, column in zip(names, query.columns, columns, strict=True)
    ]
    return f"SELECT * FROM ({query.sql}) AS x({', '.join(names)})", items


def _cell(cell: exp.Expression, column: ColumnSpec, expressions: Expressions) -> str:
    """A value of VALUES or SET, converted to the column's type."""
    if isinstance(cell, exp.Column) and cell.name.upper() == "DEFAULT" and not cell.table:
        return expressions.coerce(parsed(column.default, expressions), column.kind) if column.default else "NULL"
    return expressions.coerce(expressions.compile(cell), column.kind)


def _is_version(column: ColumnSpec) -> bool:
    return column.kind.name == "rowversion"


def _update(node: exp.Update, statement: Statement) -> Change:
    if node.args.get("from_") or node.args.get("returning"):
        raise NotSupported("UPDATE with FROM or OUTPUT")
    spec = changed_table(node.this, statement)
    expressions = table_expressions(spec, node.this.alias or spec.name, "u", statement)
    known = {statement.catalog.fold(column.name): column for column in spec.columns}
    items = []
    for item in node.expressions:
        column = known.get(statement.catalog.fold(item.this.name))
        if column is None:
            raise no_column(item.this.name)
        if column.computed or column.identity or _is_version(column):
            raise SqlError(271, f'The column "{column.name}" cannot be modified because it is computed.')
        items.append(f"{column.stored} = {stored(_cell(item.expression, column, expressions), column)}")
    items += [f"{column.stored} = {ROWVERSION}" for column in spec.columns if _is_version(column)]
    changed = {statement.catalog.fold(item.this.name) for item in node.expressions}
    sql = f"UPDATE {spec.stored} AS u SET {', '.join(items)}{_where(node, expressions)}"
    unique = [*spec.key, *(name for names in spec.unique for name in names), *(n for i in spec.indexes for n in i.columns)]
    checks = any(statement.catalog.fold(name) in changed for name in unique)
    moves = any(statement.catalog.fold(name) in changed for name in spec.key)
    keys = ", ".join(f"u.{spec.column(name).stored}" for name in spec.key)
    old = f"SELECT {keys} FROM {spec.stored} AS u{_where(node, expressions)}" if moves and spec.tracked else ""
    return Change([sql, *_recomputed(spec, statement)], spec, checks=checks, op="U", old_keys=old)


def _delete(node: exp.Delete, statement: Statement) -> Change:
    tables = node.args.get("tables")
    if node.args.get("returning") or node.args.get("using") or (tables and node.this):
        raise NotSupported("DELETE with TOP, FROM … JOIN or OUTPUT")
    target = tables[0] if tables else node.this
    spec = changed_table(target, statement)
    expressions = table_expressions(spec, target.alias or spec.name, "d", statement)
    return Change([f"DELETE FROM {spec.stored} AS d{_where(node, expressions)}"], spec, op="D")


def _where(node: exp.Expression, expressions: Expressions) -> str:
    where = node.args.get("where")
    return f" WHERE {expressions.text(where.this)}" if where is not None else ""
