"""SELECT to DuckDB: names are resolved against the catalog, and every output column has its declared type."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.from_clause import from_clause
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.key_ranges import implied
from sandbox.sqlserver.sql.order_and_limit import limit, order_by, stored_order
from sandbox.sqlserver.sql.scope import Scope, Typed, is_text
from sandbox.sqlserver.sql.statement import Columns, Pages, Query, Statement
from sandbox.sqlserver.sql.with_clause import with_clause
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.types.sql_types import MAX, SqlType

_SELECT_PARTS = frozenset(
    {
        "expressions",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "order",
        "limit",
        "offset",
        "distinct",
        "with_",
        "options",
        "kind",
        "hint",
    }
)


def select(statement: Statement, node: exp.Select, outer: Scope | None) -> Query:
    """Compiles a SELECT. Raises NotSupported, naming the part that is not supported."""
    for name, part in node.args.items():
        if part and name not in _SELECT_PARTS:
            raise NotSupported(f"{name.strip('_').upper()} in SELECT")
    start = with_clause(statement, node, outer)
    scope = Scope([], statement.catalog.fold, outer)
    sources = from_clause(statement, node, scope)
    expressions = expressions_in(statement, scope)
    tail = ""
    if node.args.get("where") is not None:
        condition = node.args["where"].this
        tail += f" WHERE {expressions.text(condition)}"
        tail += "".join(implied(condition, key[0], expressions) for key in [stored_order(statement, node)] if key)
    if node.args.get("group") is not None:
        tail += f" GROUP BY {', '.join(_group(node.args['group'].expressions, expressions))}"
    output = [item for projection in node.expressions for item in _projection(statement, projection, expressions)]
    columns = [QueryColumn(name, typed.kind, f"o{number}") for number, (name, typed) in enumerate(output)]
    listed = [f"{typed.sql} AS o{number}" for number, (_, typed) in enumerate(output)]
    if node.args.get("having") is not None:
        tail += f" HAVING {expressions.text(node.args['having'].this)}"
    if not node.args.get("distinct"):
        order = order_by(statement, node, expressions, output)
        tail += f"{order}{limit(node, expressions)}"
        pages = _pages(statement, node, scope, listed, columns, sources, tail) if not start and outer is None else None
        return Query(f"{start}SELECT {', '.join(listed)}{sources}{tail}", columns, pages)
    # first the distinct rows, then their order
    keys = ", ".join(expressions.sort_key(typed) for _, typed in output)
    inner = f"SELECT DISTINCT ON ({keys}) {', '.join(listed)}{sources}{tail}"
    chosen = [(n, replace(typed, sql=f"o{number}")) for number, (n, typed) in enumerate(output)]
    order = order_by(statement, node, expressions, chosen, output)
    return Query(f"{start}SELECT * FROM ({inner}){order}{limit(node, expressions)}", columns)


def _pages(
    statement: Statement, node: exp.Select, scope: Scope, listed: list[str], columns: Columns, sources: str, tail: str
) -> Pages | None:
    """The same query in pages; None where it does not read rows of one table, or has no long values."""
    first = node.args.get("from_")
    if first is None or len(scope.sources) != 1 or not isinstance(first.this, exp.Table) or node.args.get("group"):
        return None
    spec = statement.catalog.spec(first.this.db, first.this.name) if first.this.db.lower() != "sys" else None
    aggregated = any(item.find(exp.AggFunc, exp.Window) for item in node.expressions)
    if spec is None or spec.select or spec.target or aggregated or not any(_is_long(column.kind) for column in columns):
        return None
    long = [column.stored for column in spec.columns if _is_long(column.kind)]
    if not long:
        return None
    own = scope.sources[0].stored
    rows = f"SELECT {', '.join(listed)}, {own}.rowid AS rid{sources} WHERE {own}.rowid IN ({{}})"
    return Pages(spec.stored, f"SELECT {own}.rowid{sources}{tail}", rows, long)


def _group(nodes: list[exp.Expression], expressions: Expressions) -> list[str]:
    keys = []
    for item in nodes:
        typed = expressions.compile(item)
        key = expressions.sort_key(typed)
        keys.append(key)
        if key != typed.sql:
            expressions.grouped[typed.sql] = f"first({typed.sql})"
    return keys


def _projection(statement: Statement, node: exp.Expression, expressions: Expressions) -> list[tuple[str, Typed]]:
    if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
        table = node.table if isinstance(node, exp.Column) else ""
        found = [
            (column.name, Typed(f"{source.stored}.{column.stored}", column.kind, label=int(is_text(column.kind))))
            for source in expressions.scope.sources
            if not table or statement.catalog.fold(source.alias) == statement.catalog.fold(table)
            for column in source.columns
        ]
        for source in expressions.scope.sources:
            if not table or statement.catalog.fold(source.alias) == statement.catalog.fold(table):
                for column in source.columns:
                    column.check()
        found = [(name, replace(typed, sql=expressions.grouped.get(typed.sql, typed.sql))) for name, typed in found]
        if not found:
            raise SqlError(263, "Must specify table to select from.")
        return found
    if isinstance(node, exp.EQ):
        if isinstance(node.this, exp.Parameter):
            raise NotSupported("SELECT into a variable")
        return [(node.this.name, expressions.compile(node.expression))]  # name = expression
    if isinstance(node, exp.Alias):
        return [(node.alias, expressions.compile(node.this))]
    typed = expressions.compile(node)
    return [(node.name if isinstance(node, exp.Column) else "", typed)]


def _is_long(kind: SqlType | None) -> bool:
    return kind is not None and (kind.length == MAX or kind.name in ("text", "ntext", "image", "xml"))
