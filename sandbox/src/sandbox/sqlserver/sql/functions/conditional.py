"""COALESCE, ISNULL, NULLIF and IIF."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.scope import Typed


def coalesce(expressions: Expressions, node: exp.Expression) -> Typed:
    """COALESCE, and ISNULL, which takes its first argument's type."""
    items = [expressions.compile(item) for item in (node.this, *node.expressions)]
    kind = (items[0].kind or items[1].kind) if node.args.get("is_null") else expressions.widest(items)
    return Typed(f"coalesce({', '.join(expressions.as_kind(item, kind) for item in items)})", kind.plain if kind else None)


def nullif(expressions: Expressions, node: exp.Expression) -> Typed:
    """NULLIF."""
    left, right = expressions.compile(node.this), expressions.compile(node.expression)
    return Typed(f"CASE WHEN {expressions.compare('=', left, right)} THEN NULL ELSE {left.sql} END", left.kind)


def iif(expressions: Expressions, node: exp.Expression) -> Typed:
    """IIF."""
    items = [expressions.compile(node.args["true"]), expressions.compile(node.args["false"])]
    kind = expressions.widest(items)
    yes, no = (expressions.as_kind(item, kind) for item in items)
    return Typed(f"CASE WHEN {expressions.text(node.this)} THEN {yes} ELSE {no} END", kind)
