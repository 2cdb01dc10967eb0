"""Aggregates and window functions."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions, Handler
from sandbox.sqlserver.sql.functions.arguments import as_text
from sandbox.sqlserver.sql.scope import BIGINT, INT, Typed
from sandbox.sqlserver.types.sql_types import DECIMALS, INTEGERS, MAX, SqlType


def count(expressions: Expressions, node: exp.Expression) -> Typed:
    """COUNT and COUNT_BIG."""
    kind = BIGINT if node.args.get("big_int") else INT
    inner = node.this
    if isinstance(inner, exp.Distinct):
        key = expressions.sort_key(expressions.compile(inner.expressions[0]))
        return Typed(f"CAST(count(DISTINCT {key}) AS {kind.store})", kind)
    argument = "*" if inner is None or isinstance(inner, exp.Star) else expressions.text(inner)
    if isinstance(node.parent, exp.Window):
        return Typed(f"count({argument})", kind)
    return Typed(f"CAST(count({argument}) AS {kind.store})", kind)


def total(expressions: Expressions, node: exp.Expression) -> Typed:
    """SUM, of the type SQL Server gives it."""
    inner = expressions.compile(node.this)
    kind = inner.kind
    if kind is None:
        return Typed(f"sum({inner.sql})")
    if kind.name in INTEGERS:
        target = BIGINT if kind.name == "bigint" else INT
        return Typed(f"CAST(sum({inner.sql}) AS {target.store})", target)
    if kind.name in ("decimal", "numeric"):
        target = SqlType(kind.name, 0, 38, kind.scale)
        return Typed(f"sum({inner.sql})", target)
    if kind.name in ("money", "smallmoney"):
        return Typed(f"CAST(sum({inner.sql}) AS DECIMAL(19,4))", SqlType("money", 0, 19, 4))
    if kind.name in ("real", "float"):
        return Typed(f"sum({inner.sql})", SqlType("float"))
    raise SqlError(8117, f"Operand data type {kind.name} is invalid for sum operator.")


def average(expressions: Expressions, node: exp.Expression) -> Typed:
    """AVG, truncated for integers."""
    inner = expressions.compile(node.this)
    kind = inner.kind
    if kind is not None and kind.name in INTEGERS:
        target = BIGINT if kind.name == "bigint" else INT
        return Typed(f"CAST(trunc(avg({inner.sql})) AS {target.store})", target)
    if kind is not None and kind.name in DECIMALS:
        target = SqlType("decimal", 0, 38, max(kind.scale, 6))
        return Typed(f"CAST(avg({inner.sql}) AS {target.store})", target)
    return Typed(f"avg({inner.sql})", SqlType("float"))


def extreme(name: str) -> Handler:
    """MIN and MAX, by SQL Server's order."""

    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        inner = expressions.compile(node.this)
        if inner.kind is not None and inner.kind.name in ("bit", "text", "ntext", "image", "xml"):
            raise SqlError(8117, f"Operand data type {inner.kind.name} is invalid for {name} operator.")
        key = expressions.sort_key(inner)
        sql = f"{name}({inner.sql})" if key == inner.sql else f"arg_{name}({inner.sql}, {key})"
        return Typed(sql, inner.kind.plain if inner.kind else None, label=inner.label)

    return handle


def string_agg(expressions: Expressions, node: exp.Expression) -> Typed:
    """STRING_AGG with its order."""
    inner, order = node.this, ""
    if isinstance(inner, exp.Order):
        order = f" ORDER BY {', '.join(_sort_item(expressions, key, ('ASC', 'DESC')) for key in inner.expressions)}"
        inner = inner.this
    separator = expressions.text(node.args["separator"])
    return Typed(f"string_agg({as_text(expressions, inner)}, {separator}{order})", SqlType("nvarchar", MAX))


def window(expressions: Expressions, node: exp.Expression) -> Typed:
    """A function OVER (PARTITION BY … ORDER BY …), without a frame."""
    inner = node.this
    if isinstance(inner, exp.RowNumber):
        base = Typed("row_number()", BIGINT)
    elif isinstance(inner, exp.Ntile):
        base = Typed(f"ntile({expressions.text(inner.this)})", BIGINT)
    else:
        base = expressions.compile(inner)
    if node.args.get("spec"):
        raise NotSupported("a window frame (ROWS, RANGE)")
    parts = []
    if node.args.get("partition_by"):
        parts.append(
            "PARTITION BY " + ", ".join(expressions.sort_key(expressions.compile(key)) for key in node.args["partition_by"])
        )
    order = node.args.get("order")
    if order is not None:
        directions = ("ASC NULLS FIRST", "DESC NULLS LAST")
        keys = [
            "(SELECT NULL)" if isinstance(key.this, (exp.Subquery, exp.Select)) else _sort_item(expressions, key, directions)
            for key in order.expressions
        ]
        parts.append("ORDER BY " + ", ".join(keys))
    return Typed(f"{base.sql} OVER ({' '.join(parts)})", base.kind)


def _sort_item(expressions: Expressions, key: exp.Expression, directions: tuple[str, str]) -> str:
    """An ORDER BY item; `directions` says ascending and descending."""
    direction = directions[bool(key.args.get("desc"))]
    return f"{expressions.sort_key(expressions.compile(key.this))} {direction}"
