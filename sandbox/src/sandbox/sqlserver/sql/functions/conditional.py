"""COALESCE, ISNULL, NULLIF and IIF."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.scope import Typed


def coalesce(scope: Expressions, node: exp.Expression) -> Typed:
    """COALESCE, and ISNULL, which takes its first argument's type."""
    items = [scope.compile(item) for item in (node.this, *node.expressions)]
    kind = (items[0].kind or items[1].kind) if node.args.get("is_null") else scope.widest(items)
    return Typed(f"coalesce({', '.join(scope.as_kind(item, kind) for item in items)})", kind.plain if kind else None)


def nullif(scope: Expressions, node: exp.Expression) -> Typed:
    """NULLIF."""
    left, right = scope.compile(node.this), scope.compile(node.expression)
    return Typed(f"CASE WHEN {scope.compare('=', left, right)} THEN NULL ELSE {left.sql} END", left.kind)


def iif(scope: Expressions, node: exp.Expression) -> Typed:
    """IIF."""
    items = [scope.compile(node.args["true"]), scope.compile(node.args["false"])]
    kind = scope.widest(items)
    yes, no = (scope.as_kind(item, kind) for item in items)
    return Typed(f"CASE WHEN {scope.text(node.this)} THEN {yes} ELSE {no} END", kind)
