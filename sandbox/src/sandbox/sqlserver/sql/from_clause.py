"""FROM: tables, views, catalog views, subqueries and joins as DuckDB text, with their columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlglot import exp, parse_one

from sandbox.sqlserver.errors import NotSupported, SqlError, no_object
from sandbox.sqlserver.sql.change_table import change_table, is_change_table, named
from sandbox.sqlserver.sql.described import description, is_description
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.scope import Scope, Source
from sandbox.sqlserver.sql.statement import Columns, Statement
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.server_views import server_views
from sandbox.sqlserver.system.specs import TableSpec

_OF_SIZES = frozenset({"partitions", "allocation_units", "dm_db_partition_stats"})  # catalog views that tell sizes


def from_clause(statement: Statement, node: exp.Select, scope: Scope) -> str:
    """FROM with its joins; adds every item to the scope."""
    first = node.args.get("from_")
    if first is None:
        return ""
    sql = f" FROM {_source(statement, first.this, scope)}"
    for join in [*(first.this.args.get("joins") or []), *(node.args.get("joins") or [])]:
        item = join.this
        if isinstance(item, exp.Lateral):
            word = "CROSS JOIN LATERAL" if item.args.get("cross_apply") else "LEFT JOIN LATERAL"
            inner = statement.query(item.this, scope)
            sql += f" {word} {_derived(statement, inner.sql, item.alias, inner.columns, scope)}"
            sql += "" if item.args.get("cross_apply") else " ON true"
            continue
        words = [str(join.args.get(key) or "") for key in ("method", "side", "kind")]
        condition = join.args.get("on")
        word = " ".join(filter(None, words)).upper() or ("INNER" if condition is not None else "CROSS")
        before = len(scope.sources)
        sql += f" {word} JOIN {_source(statement, item, scope)}"
        _let_be_null(scope, before, str(join.args.get("side") or "").upper())
        if condition is not None:
            sql += f" ON {expressions_in(statement, scope).text(condition)}"
    return sql


def _let_be_null(scope: Scope, before: int, side: str) -> None:
    """What an outer join fills up with NULL may be NULL: the items behind it, those in front of it, or both."""
    for number, source in enumerate(scope.sources):
        if side == "FULL" or side == ("LEFT" if number >= before else "RIGHT"):
            source.columns = [replace(c, kind=c.kind and replace(c.kind, nullable=True)) for c in source.columns]


def _source(statement: Statement, item: exp.Expression, scope: Scope) -> str:
    """One FROM item; adds it to the scope."""
    if isinstance(item, exp.Subquery):
        inner = statement.query(item.this, scope.outer)
        alias = item.args.get("alias")
        names = [column.name for column in alias.columns] if alias is not None else []
        columns = inner.columns
        if names:
            columns = [replace(column, name=n) for n, column in zip(names, inner.columns, strict=True)]
        _check_derived(statement, item, columns)
        return _derived(statement, inner.sql, item.alias, columns, scope)
    if is_change_table(item):
        spec = spec_of(statement, named(item))
        sql, columns = change_table(item, spec, statement, expressions_in(statement, Scope([], scope.fold, scope.outer)))
        renames = [column.name for column in item.args["alias"].columns] if item.args.get("alias") else []
        columns = [replace(c, name=n) for n, c in zip(renames, columns, strict=True)] if renames else columns
        own = statement.name("s")
        scope.sources.append(Source(item.alias, own, columns))
        return f"{sql} AS {own}"
    if is_description(item):
        sql, columns = description(item, statement)
        own = statement.name("s")
        scope.sources.append(Source(item.alias, own, columns))
        return f"{sql} AS {own}"
    if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
        raise NotSupported(f"{item.sql(dialect='tsql')[:60]} in FROM")
    if item.args.get("sample") or item.args.get("pivots"):
        raise NotSupported("TABLESAMPLE, PIVOT and UNPIVOT")
    alias_name = item.alias or item.name
    found = statement.ctes.get(statement.catalog.fold(item.name)) if not item.db else None
    stored, columns = found or table(statement, item)
    own = statement.name("s")
    scope.sources.append(Source(alias_name, own, columns))
    return f"{stored} AS {own}"


def _check_derived(statement: Statement, item: exp.Subquery, columns: Columns) -> None:
    """Raises SqlError for what no derived table may be: one in an order, or with columns of no name, or of one name."""
    inner = item.this
    if inner.args.get("order") and not (inner.args.get("limit") or inner.args.get("offset")):
        text = "The ORDER BY clause is invalid in views, inline functions, derived tables, subqueries, and common table"
        raise SqlError(1033, f"{text} expressions, unless TOP, OFFSET or FOR XML is also specified.", severity=15)
    names = [statement.catalog.fold(column.name) for column in columns]
    for number, name in enumerate(names, start=1):
        if not name:
            raise SqlError(8155, f"No column name was specified for column {number} of '{item.alias}'.")
        if name in names[: number - 1]:
            raise SqlError(8156, f"The column '{columns[number - 1].name}' was specified multiple times for '{item.alias}'.")


def _derived(statement: Statement, sql: str, alias: str, columns: Columns, scope: Scope) -> str:
    own = statement.name("s")
    scope.sources.append(Source(alias, own, columns))
    return f"({sql}) AS {own}"


def table(statement: Statement, node: exp.Table) -> tuple[str, Columns]:
    """A table, view or catalog view as DuckDB text for FROM, and its columns. Raises SqlError 208 and 229."""
    full = ".".join(part for part in (node.catalog, node.db, node.name) if part)
    elsewhere = node.catalog and statement.catalog.fold(node.catalog) != statement.catalog.fold(statement.catalog.database)
    system = None if elsewhere and node.name.lower() != "databases" else statement.catalog.system(node.db, node.name)
    if system is not None:
        statement.reads_sizes |= node.name.lower() in _OF_SIZES
        return system
    if not elsewhere and (live := _server_view(statement, node)) is not None:
        return live
    if elsewhere:
        raise no_object(full)
    if node.name.startswith("#"):
        raise NotSupported("a temporary table")
    spec = spec_of(statement, node)
    if spec.select:
        if spec.object_id in statement.inside_views:
            raise SqlError(4_413, f"Could not use view '{full}' because of binding errors.")
        inner = statement.of_view(spec.object_id)
        parsed: Any = parse_one(spec.select, read="tsql")
        query = inner.query(parsed)
        columns = [replace(column, name=c.name) for column, c in zip(query.columns, spec.columns, strict=False)]
        statement.reads_sizes |= inner.reads_sizes
        return f"({query.sql})", columns
    statement.reads.add(spec.object_id)
    # who may read a view may read what it reads
    denied = statement.catalog.denied.get(spec.object_id, set()) if not statement.inside_views else set()
    whose = f"object '{spec.name}', database '{statement.catalog.database}', schema '{spec.schema}'"
    if 0 in denied:
        raise SqlError(229, f"The SELECT permission was denied on the {whose}.", 14, 5)
    return spec.stored, [
        QueryColumn(column.name, column.kind, column.stored, whose if column.number in denied else "") for column in spec.columns
    ]


def spec_of(statement: Statement, node: exp.Table) -> TableSpec:
    """A table or view by its name, through synonyms. Raises SqlError 208."""
    spec = statement.catalog.spec(node.db, node.name)
    if spec is None:
        raise no_object(".".join(part for part in (node.catalog, node.db, node.name) if part))
    if spec.target:
        return spec_of(statement, exp.to_table(spec.target, dialect="tsql"))
    return spec


def _server_view(statement: Statement, node: exp.Table) -> tuple[str, Columns] | None:
    """A view of the server's own state, such as sys.dm_exec_sessions; None for any other name."""
    if statement.session.server is None:
        return None
    view = server_views(statement.session.server).get((node.db.lower(), node.name.lower()))
    return view() if view is not None else None
