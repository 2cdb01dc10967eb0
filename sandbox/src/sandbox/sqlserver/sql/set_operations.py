"""UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.functions.registry import expressions_in
from sandbox.sqlserver.sql.order_and_limit import direction, selected
from sandbox.sqlserver.sql.scope import Scope, Typed
from sandbox.sqlserver.sql.statement import Query, Statement
from sandbox.sqlserver.sql.type_rules import united
from sandbox.sqlserver.sql.with_clause import with_clause


def set_operation(statement: Statement, node: exp.SetOperation, outer: Scope | None) -> Query:
    """UNION, INTERSECT or EXCEPT. Raises SqlError 205 if the sides have different numbers of columns."""
    start = with_clause(statement, node, outer)
    left, right = statement.query(node.this, outer), statement.query(node.expression, outer)
    if len(left.columns) != len(right.columns):
        raise SqlError(
            205,
            "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of "
            "expressions in their target lists.",
        )
    columns = [replace(a, kind=united(a.kind, b.kind)) for a, b in zip(left.columns, right.columns, strict=True)]
    word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
    expressions = expressions_in(statement, Scope([], statement.catalog.fold))
    if word == "UNION" and node.args.get("distinct"):
        keys = [expressions.sort_key(Typed(column.stored, column.kind, label=1)) for column in columns]
        sql = f"SELECT DISTINCT ON ({', '.join(keys)}) * FROM ({left.sql} UNION ALL {right.sql})"
    else:
        sql = f"({left.sql}) {word}{'' if node.args.get('distinct') else ' ALL'} ({right.sql})"
    order = node.args.get("order")
    if order is not None:
        output = [(column.name, Typed(column.stored, column.kind, label=1)) for column in columns]
        keys = [
            expressions.sort_key(selected(statement, key.this, expressions, output)) + direction(key) for key in order.expressions
        ]
        sql = f"SELECT * FROM ({sql}) ORDER BY {', '.join(keys)}"
    return Query(start + sql, columns)
