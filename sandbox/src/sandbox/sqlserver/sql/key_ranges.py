"""Range queries over a table that is stored in key order: bounds on its first key column, and an ORDER BY that can be left out.

`[k1] > 5 OR ([k1] = 5 AND [k2] > 7)` implies `[k1] >= 5`, with which DuckDB skips whole row groups; it does not work that out
itself. And one thread scans a table in stored order, so rows that are stored in key order need no sort.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.scope import Typed
from sandbox.sqlserver.types.sql_types import INTEGERS

_COMPARABLE = frozenset({*INTEGERS, "date", "datetime", "smalldatetime", "datetime2", "time", "decimal", "numeric", "money"})
_SIDES: dict[Any, tuple[bool, bool]] = {
    exp.EQ: (True, True),
    exp.GT: (True, False),
    exp.GTE: (True, False),
    exp.LT: (False, True),
    exp.LTE: (False, True),
}
_Bounds = tuple[list[str], list[str]]


def needless_order(order: exp.Order, key: list[str]) -> bool:
    """Whether an ORDER BY is a prefix of the key, ascending, or the key and more behind it."""
    names = []
    for item in order.expressions:
        if item.args.get("desc") or not isinstance(item.this, exp.Column):
            return False
        names.append(item.this.name.lower())
    wanted = [name.lower() for name in key]
    return bool(wanted) and names[: len(wanted)] == wanted[: len(names)]


def implied(where: exp.Expression, column: str, expressions: Expressions) -> str:
    """Conditions on a column that follow from WHERE, as DuckDB text that begins with AND; empty when there are none."""
    typed = expressions.compile(exp.column(column))
    if typed.kind is None or typed.kind.name not in _COMPARABLE:
        return ""
    lows, highs = _bounds(where, column.lower(), typed, expressions)
    parts = [f"{typed.sql} >= {low}" for low in lows] + [f"{typed.sql} <= {high}" for high in highs]
    return "".join(f" AND {part}" for part in parts)


def _bounds(node: exp.Expression, column: str, typed: Typed, expressions: Expressions) -> _Bounds:
    if isinstance(node, exp.Paren):
        return _bounds(node.this, column, typed, expressions)
    if isinstance(node, (exp.And, exp.Or)):
        left, right = (_bounds(side, column, typed, expressions) for side in (node.this, node.expression))
        if isinstance(node, exp.And):
            return left[0] + right[0], left[1] + right[1]
        lows = [f"least({_one('greatest', left[0])}, {_one('greatest', right[0])})"] if left[0] and right[0] else []
        highs = [f"greatest({_one('least', left[1])}, {_one('least', right[1])})"] if left[1] and right[1] else []
        return lows, highs
    if type(node) in _SIDES and isinstance(node.this, exp.Column) and node.this.name.lower() == column:
        bound = _bound(node.expression, typed, expressions)
        low, high = _SIDES[type(node)]
        if bound is not None:
            return [bound] if low else [], [bound] if high else []
    return [], []


def _one(function: str, items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{function}({', '.join(items)})"


def _bound(node: exp.Expression, column: Typed, expressions: Expressions) -> str | None:
    """The other side as DuckDB text, if it is a constant that the column is compared with unconverted."""
    if node.find(exp.Column, exp.Query, exp.AggFunc):
        return None
    try:
        typed = expressions.compile(node)
    except SqlError:
        return None
    if typed.kind is None or column.kind is None or typed.sql == "NULL":
        return None
    both_integers = typed.kind.name in INTEGERS and column.kind.name in INTEGERS
    same = typed.kind.name == column.kind.name and typed.kind.scale <= column.kind.scale
    return typed.sql if both_integers or same else None
