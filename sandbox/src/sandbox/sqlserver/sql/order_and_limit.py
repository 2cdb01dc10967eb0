"""ORDER BY, TOP, OFFSET and FETCH."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.key_ranges import needless_order
from sandbox.sqlserver.sql.scope import Typed
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.types.sql_types import SqlType

Output = list[tuple[str, Typed]]  # the items of a select list, with their names


def order_by(
    statement: Statement,
    node: exp.Select,
    expressions: Expressions,
    output: Output,
    distinct: Output | None = None,
) -> str:
    """ORDER BY, unless the rows come in that order anyway; `distinct` is what SELECT DISTINCT made `output` of."""
    order = node.args.get("order")
    if order is None or needless_order(order, stored_order(statement, node)):
        return ""
    keys = []
    for key in order.expressions:
        typed = selected(statement, key.this, expressions, output, distinct)
        keys.append(expressions.sort_key(typed) + direction(key))
    return f" ORDER BY {', '.join(keys)}"


def selected(
    statement: Statement,
    target: exp.Expression,
    expressions: Expressions,
    output: Output,
    distinct: Output | None = None,
) -> Typed:
    """What an ORDER BY item means: an output column by number or name, or an expression."""
    if isinstance(target, exp.Literal) and not target.is_string:
        number = int(target.this)
        if not 0 < number <= len(output):
            text = f"The ORDER BY position number {number} is out of range of the number of items in the select list."
            raise SqlError(108, text)
        return output[number - 1][1]
    if isinstance(target, exp.Column) and not target.table:
        for name, typed in output:
            if statement.catalog.fold(name) == statement.catalog.fold(target.name):
                return typed
    typed = expressions.compile(target)
    if distinct is None:
        return typed
    for (_, chosen), (_, given) in zip(output, distinct, strict=True):
        if given.sql == typed.sql:
            return chosen
    raise SqlError(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.", severity=15)


def limit(node: exp.Select, expressions: Expressions) -> str:
    """TOP, OFFSET and FETCH."""
    first, offset = node.args.get("limit"), node.args.get("offset")
    sql = ""
    if first is not None:
        options = first.args.get("limit_options")
        if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
            raise NotSupported("TOP … PERCENT and WITH TIES")
        count = first.args.get("count") if isinstance(first, exp.Fetch) else first.expression
        sql += f" LIMIT {expressions.coerce(expressions.compile(_unwrapped(count)), SqlType('bigint'))}"
    if offset is not None:
        sql += f" OFFSET {expressions.coerce(expressions.compile(_unwrapped(offset.expression)), SqlType('bigint'))}"
    return sql


def stored_order(statement: Statement, node: exp.Select) -> list[str]:
    """The key in whose order the query's only table is stored and read; empty when that is not known."""
    first = node.args.get("from_")
    table = first.this if first is not None else None
    if not isinstance(table, exp.Table) or table.args.get("joins") or node.args.get("joins"):
        return []
    if any(node.args.get(part) for part in ("group", "distinct", "having")):
        return []
    if table.db.lower() in ("sys", "information_schema"):
        return []
    return statement.catalog.stored_order(table.db, table.name)


def direction(key: exp.Expression) -> str:
    """The direction of an ORDER BY item; NULLs are lowest."""
    return " DESC NULLS LAST" if key.args.get("desc") else " ASC NULLS FIRST"


def _unwrapped(node: Any) -> Any:
    return node.this if isinstance(node, exp.Paren) else node
