"""Arguments of functions as the parser leaves them."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.types.sql_types import MAX, SqlType


def bare(node: exp.Expression) -> exp.Expression:
    """An argument without the cast to text or time that the parser put around it."""
    if isinstance(node, (exp.TimeStrToTime, exp.TsOrDsToDate)):
        return bare(node.this)
    if isinstance(node, exp.Cast) and node.args["to"].this in (exp.DataType.Type.TEXT, exp.DataType.Type.TIMESTAMP):
        return bare(node.this)
    return node


def as_text(expressions: Expressions, node: exp.Expression) -> str:
    """An argument as text, times as CONVERT writes them in style 121."""
    return expressions.convert(bare(node), SqlType("nvarchar", MAX), 121).sql
