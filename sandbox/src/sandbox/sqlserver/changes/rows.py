"""INSERT, UPDATE and DELETE as DuckDB statements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb
from sqlglot import exp, parse_one

from sandbox.sqlserver.errors import NotSupported, SqlError, no_column
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.queries import Compiler
from sandbox.sqlserver.sql.scope import Scope, Source, Typed
from sandbox.sqlserver.system.catalog import Offer
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec
from sandbox.sqlserver.system.tables import key_name, unique_name

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


def change(node: exp.Expression, compiler: Compiler) -> Change:
    """Raises NotSupported for other statements, by name."""
    if isinstance(node, exp.Insert):
        return _insert(node, compiler)
    if isinstance(node, exp.Update):
        return _update(node, compiler)
    if isinstance(node, exp.Delete):
        return _delete(node, compiler)
    word = node.name if isinstance(node, exp.Command) else type(node).__name__
    raise NotSupported(f"{word.upper()} ({node.sql(dialect='tsql')[:60]})")


def changed_table(node: exp.Expression, compiler: Compiler) -> TableSpec:
    """The table a statement changes, through synonyms; its rows no longer count as stored in key order."""
    if not isinstance(node, exp.Table):
        raise NotSupported(f"changing {node.sql(dialect='tsql')[:60]}")
    spec = compiler.spec(node)
    if spec.select:
        raise NotSupported(f"changing the view {spec.full_name}")
    if compiler.catalog.settings.get("read_only"):
        text = f'Failed to update database "{compiler.catalog.database}" because the database is read-only.'
        raise SqlError(3906, text)
    # before any row moves, and for good
    compiler.catalog.ordered.discard(spec.object_id)
    compiler.catalog.stale.add(spec.object_id)
    return spec


def _scope(spec: TableSpec, alias: str, stored: str, compiler: Compiler) -> Expressions:
    offers = [Offer(column.name, column.kind, column.stored) for column in spec.columns]
    return Expressions(compiler, Scope([Source(alias, stored, offers)], compiler.catalog.fold))


def recomputed(spec: TableSpec, compiler: Compiler) -> list[str]:
    """Brings computed columns up to date after a change."""
    expressions = _scope(spec, spec.name, "r", compiler)
    found = []
    for column in (column for column in spec.columns if column.computed):
        value = expressions.coerce(parsed(column.computed, expressions), column.kind)
        value = f"CAST({value} AS {column.kind.store})"
        found.append(f"UPDATE {spec.stored} AS r SET {column.stored} = {value} WHERE r.{column.stored} IS DISTINCT FROM {value}")
    return found


def parsed(text: str, expressions: Expressions) -> Typed:
    """An expression from its text."""
    return expressions.compile(parse_one(f"SELECT {text}", read="tsql").expressions[0])


def padded(value: str, column: ColumnSpec) -> str:
    """What is kept of a value: fixed-length text and bytes are filled up, too long ones are refused (2628 by the caller)."""
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


def _insert(node: exp.Insert, compiler: Compiler) -> Change:
    if node.args.get("returning"):
        raise NotSupported("INSERT with OUTPUT")
    target = node.this
    named = [column.name for column in target.expressions] if isinstance(target, exp.Schema) else []
    spec = changed_table(target.this if named else target, compiler)
    fold = compiler.catalog.fold
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
        source, given = _incoming(node.expression, columns, compiler)
    listed, items = [column.stored for column in columns], list(given)
    for column in (column for column in spec.columns if column not in columns and not column.computed):
        if column.identity:
            # values that were given explicitly count, too
            highest = f"(SELECT coalesce(max({column.stored}), 0) FROM {spec.stored})"
            items.append(f"greatest(nextval('{spec.identity}'), {highest} + row_number() OVER ())")
        elif _is_version(column):
            items.append(ROWVERSION)
        elif column.default:
            scope = Expressions(compiler, Scope([], fold))
            items.append(padded(scope.coerce(parsed(column.default, scope), column.kind), column))
        else:
            continue
        listed.append(column.stored)
    sql = f"INSERT INTO {spec.stored} ({', '.join(listed)}) SELECT {', '.join(items)} FROM ({source})"
    return Change([sql, *recomputed(spec, compiler)], spec, checks=True)


def _incoming(source: exp.Expression, columns: list[ColumnSpec], compiler: Compiler) -> tuple[str, list[str]]:
    """The rows to insert as a derived table, and the items to select from it."""
    names = [f"v{number}" for number in range(len(columns))]
    expressions = Expressions(compiler, Scope([], compiler.catalog.fold))
    wrong = SqlError(213, "Column name or number of supplied values does not match table definition.")
    if isinstance(source, exp.Values):
        rows = []
        for item in source.expressions:
            cells = item.expressions if isinstance(item, exp.Tuple) else [item]
            if len(cells) != len(columns):
                raise wrong
            kept = [_cell(cell, column, expressions) for cell, column in zip(cells, columns, strict=True)]
            rows.append(f"({', '.join(kept)})")
        return f"SELECT * FROM (VALUES {', '.join(rows)}) AS x({', '.join(names)})", names
    query = compiler.query(source)
    if len(query.columns) != len(columns):
        raise wrong
    items = [
        padded(expressions.coerce(Typed(name, offer.kind), column.kind), column)
        for name, offer, column in zip(names, query.columns, columns, strict=True)
    ]
    return f"SELECT * FROM ({query.sql}) AS x({', '.join(names)})", items


def _cell(cell: exp.Expression, column: ColumnSpec, expressions: Expressions) -> str:
    if isinstance(cell, exp.Column) and cell.name.upper() == "DEFAULT" and not cell.table:
        return padded(expressions.coerce(parsed(column.default, expressions), column.kind) if column.default else "NULL", column)
    return padded(expressions.coerce(expressions.compile(cell), column.kind), column)


def _is_version(column: ColumnSpec) -> bool:
    return column.kind.name == "rowversion"


def _update(node: exp.Update, compiler: Compiler) -> Change:
    if node.args.get("from_") or node.args.get("returning"):
        raise NotSupported("UPDATE with FROM or OUTPUT")
    spec = changed_table(node.this, compiler)
    scope = _scope(spec, node.this.alias or spec.name, "u", compiler)
    known = {compiler.catalog.fold(column.name): column for column in spec.columns}
    items = []
    for item in node.expressions:
        column = known.get(compiler.catalog.fold(item.this.name))
        if column is None:
            raise no_column(item.this.name)
        if column.computed or column.identity or _is_version(column):
            raise SqlError(271, f'The column "{column.name}" cannot be modified because it is computed.')
        items.append(f"{column.stored} = {_cell(item.expression, column, scope)}")
    items += [f"{column.stored} = {ROWVERSION}" for column in spec.columns if _is_version(column)]
    changed = {compiler.catalog.fold(item.this.name) for item in node.expressions}
    sql = f"UPDATE {spec.stored} AS u SET {', '.join(items)}{_where(node, scope)}"
    unique = [*spec.key, *(name for names in spec.unique for name in names), *(n for i in spec.indexes for n in i.columns)]
    checks = any(compiler.catalog.fold(name) in changed for name in unique)
    return Change([sql, *recomputed(spec, compiler)], spec, checks=checks)


def _delete(node: exp.Delete, compiler: Compiler) -> Change:
    tables = node.args.get("tables")
    if node.args.get("returning") or node.args.get("using") or (tables and node.this):
        raise NotSupported("DELETE with TOP, FROM … JOIN or OUTPUT")
    target = tables[0] if tables else node.this
    spec = changed_table(target, compiler)
    scope = _scope(spec, target.alias or spec.name, "d", compiler)
    return Change([f"DELETE FROM {spec.stored} AS d{_where(node, scope)}"], spec)


def _where(node: exp.Expression, scope: Expressions) -> str:
    where = node.args.get("where")
    return f" WHERE {scope.text(where.this)}" if where is not None else ""


def duplicates(spec: TableSpec, compiler: Compiler) -> list[tuple[str, SqlError]]:
    """Queries that find a key twice, each with the error to raise; its text takes the value in place of {}."""
    scope = _scope(spec, spec.name, "k", compiler)
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
        values = [scope.compile(exp.column(exp.to_identifier(name, quoted=True))) for name in names]
        keys = ", ".join(scope.ordered(value) for value in values)
        shown = ", ".join(f"CAST(first({value.sql}) AS VARCHAR)" for value in values)
        condition = f" WHERE {parsed('CASE WHEN ' + where + ' THEN 1 END', scope).sql} = 1" if where else ""
        sql = f"SELECT {shown} FROM {spec.stored} AS k{condition} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
        found.append((sql, SqlError(2601 if text.startswith("Cannot") else 2627, text, severity=14)))
    return found


def _violated(what: str, name: str, spec: TableSpec) -> str:
    return f"Violation of {what} constraint '{name}'. Cannot insert duplicate key in object '{spec.full_name}'."


MACROS = [
    # lengths count UTF-16 units, of which an emoji has two
    "CREATE OR REPLACE MACRO padded(s, n) AS rpad(s, CAST(n - (units16(s) - length(s)) AS INTEGER), ' ')",
    "CREATE OR REPLACE MACRO fit_text(s, n, c) AS CASE WHEN strlen(s) <= n THEN s WHEN units16(rtrim(s, ' ')) > n "
    "THEN error('sandbox truncates ' || c) ELSE left(s, n - (units16(s) - length(s))) END",
    "CREATE OR REPLACE MACRO fit_binary(b, n, c) AS CASE WHEN octet_length(b) > n THEN encode(error('sandbox truncates ' || c)) "
    "ELSE unhex(rpad(hex(b), 2 * n, '0')) END",
]
