"""CHANGETABLE: the net changes of a table since a version, and the version of one row; the versions as scalar functions.

https://learn.microsoft.com/sql/relational-databases/system-functions/changetable-transact-sql
"""

from __future__ import annotations

import re

from sqlglot import exp

from sandbox.sqlserver.errors import SqlError, bad_syntax
from sandbox.sqlserver.sql import comparisons
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.scope import BIGINT, Typed, is_text
from sandbox.sqlserver.sql.statement import Columns, Statement
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.types.sql_types import SqlType

VIEW_CHANGE_TRACKING = -1  # among the column numbers that are denied: this permission
CURRENT = "(SELECT coalesce(max(version), 0) FROM mssys.change_commits)"
_CALL = re.compile(r"\bCHANGETABLE\s*\(\s*(CHANGES|VERSION)\s+", re.IGNORECASE)


def for_parser(sql: str) -> str:
    """CHANGETABLE(CHANGES t, …) in a form that the parser can read."""
    return _CALL.sub(lambda found: f"CHANGETABLE_{found[1].upper()}(", sql)


def is_change_table(item: exp.Expression) -> bool:
    """Whether a FROM item is one of the two."""
    called = item.this if isinstance(item, exp.Table) else None
    return isinstance(called, exp.Anonymous) and called.name.upper() in ("CHANGETABLE_CHANGES", "CHANGETABLE_VERSION")


def named(item: exp.Expression) -> exp.Table:
    """The table that it is asked of."""
    column = item.this.expressions[0]
    if not isinstance(column, exp.Column):
        raise bad_syntax("CHANGETABLE")
    return exp.Table(this=column.this, db=column.args.get("table"), catalog=column.args.get("db"))


def change_table(item: exp.Expression, spec: TableSpec, statement: Statement, expressions: Expressions) -> tuple[str, Columns]:
    """The rows as DuckDB text for FROM, and their columns. Raises SqlError 22105, and 229 where it is denied."""
    if not spec.tracked:
        raise SqlError(22105, f"Change tracking is not enabled on table '{spec.full_name}'.")
    if statement.catalog.denied.get(spec.object_id, set()) & {0, VIEW_CHANGE_TRACKING}:
        whose = f"object '{spec.name}', database '{statement.catalog.database}', schema '{spec.schema}'"
        raise SqlError(229, f"The VIEW CHANGE TRACKING permission was denied on the {whose}.", 14, 5)
    statement.reads.add(spec.object_id)
    keys = [spec.column(name) for name in spec.key]
    columns = [QueryColumn(column.name, column.kind, column.stored) for column in keys]
    values = ", ".join(f"arg_max({column.stored}, seq) AS {column.stored}" for column in keys)
    same = [
        comparisons.sort_key(statement, Typed(column.stored, column.kind, label=int(is_text(column.kind)))) for column in keys
    ]
    rows = (
        f"SELECT k.*, c.version, CAST(c.version AS HUGEINT) * 1099511627776 + k.rowid AS seq FROM {spec.changes} AS k "
        "JOIN mssys.change_commits AS c USING (txn)"
    )
    if item.this.name.upper() == "CHANGETABLE_VERSION":
        return _version(item, rows, columns, expressions)
    since = expressions.coerce(expressions.compile(item.this.expressions[1]), BIGINT)
    last = "arg_max(op, seq)"
    sql = (
        f"(SELECT max(version) AS v, CASE WHEN {last} <> 'D' THEN max(version) FILTER (WHERE op = 'I') END AS made, "
        f"CASE WHEN {last} = 'D' THEN 'D' WHEN bool_or(op = 'I') THEN 'I' ELSE 'U' END AS op, "
        f"CAST(NULL AS BLOB) AS columns_changed, CAST(NULL AS BLOB) AS context, {values} "
        f"FROM ({rows} WHERE c.version > coalesce({since}, -1)) GROUP BY {', '.join(same)})"
    )
    return sql, [
        QueryColumn("SYS_CHANGE_VERSION", BIGINT, "v"),
        QueryColumn("SYS_CHANGE_CREATION_VERSION", BIGINT, "made"),
        QueryColumn("SYS_CHANGE_OPERATION", SqlType("nchar", 1), "op"),
        QueryColumn("SYS_CHANGE_COLUMNS", SqlType("varbinary", 4_100), "columns_changed"),
        QueryColumn("SYS_CHANGE_CONTEXT", SqlType("varbinary", 128), "context"),
        *columns,
    ]


def _version(item: exp.Expression, rows: str, columns: Columns, expressions: Expressions) -> tuple[str, Columns]:
    """One row: the key that was given, and the version of its last change, NULL for none that is known."""
    given = item.this.expressions[2]
    cells = given.expressions if isinstance(given, exp.Tuple) else [given.this if isinstance(given, exp.Paren) else given]
    values = [
        expressions.coerce(expressions.compile(cell), column.kind)
        for cell, column in zip(cells, columns, strict=True)
        if column.kind
    ]
    where = " AND ".join(f"x.{column.stored} = {value}" for column, value in zip(columns, values, strict=True))
    listed = ", ".join(f"{value} AS {column.stored}" for column, value in zip(columns, values, strict=True))
    sql = f"(SELECT (SELECT max(version) FROM ({rows}) AS x WHERE {where}) AS v, CAST(NULL AS BLOB) AS context, {listed})"
    found = [
        QueryColumn("SYS_CHANGE_VERSION", BIGINT, "v"),
        QueryColumn("SYS_CHANGE_CONTEXT", SqlType("varbinary", 128), "context"),
    ]
    return sql, [*found, *columns]


def current_version(expressions: Expressions, node: exp.Expression) -> Typed:
    """CHANGE_TRACKING_CURRENT_VERSION(): as the transaction sees it; NULL where the database does not track changes."""
    tracked = expressions.statement.catalog.settings.get("change_tracking")
    return Typed(CURRENT if tracked else "CAST(NULL AS BIGINT)", BIGINT)


def min_valid_version(expressions: Expressions, node: exp.Expression) -> Typed:
    """CHANGE_TRACKING_MIN_VALID_VERSION(object id): NULL for a table that is not tracked, or is not for this login to see."""
    number = expressions.text(node.expressions[0])
    hidden = f"SELECT object_id FROM mssys.denied WHERE column_id IN (0, {VIEW_CHANGE_TRACKING})"
    where = f"object_id = {number} AND object_id NOT IN ({hidden})"
    return Typed(f"(SELECT min_valid_version FROM mssys.change_tracking_tables WHERE {where})", BIGINT)
