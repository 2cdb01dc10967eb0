"""sys.dm_exec_describe_first_result_set: the columns that a query would have, or why it would fail; nothing is run.

https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-exec-describe-first-result-set-transact-sql
"""

from __future__ import annotations

from typing import Any

from sqlglot import ParseError, exp, parse

from sandbox.sqlserver.errors import NotSupported, SqlError, bad_syntax
from sandbox.sqlserver.sql.statement import Columns, Statement
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.literal_rows import literal_rows
from sandbox.sqlserver.system.object_rows import digits, type_ids
from sandbox.sqlserver.system.server import SYSNAME
from sandbox.sqlserver.types.sql_types import STRINGS as TEXTS
from sandbox.sqlserver.types.sql_types import SqlType, max_length

_BIT, _INT, _SMALLINT, _TINYINT, _TEXT = (
    SqlType("bit"),
    SqlType("int"),
    SqlType("smallint"),
    SqlType("tinyint"),
    SqlType("nvarchar", 4000),
)
_SHAPE = [
    ("is_hidden", _BIT), ("column_ordinal", _INT), ("name", SYSNAME), ("is_nullable", _BIT), ("system_type_id", _INT),
    ("system_type_name", SYSNAME), ("max_length", _SMALLINT), ("precision", _TINYINT), ("scale", _TINYINT),
    ("collation_name", SYSNAME), ("user_type_id", _INT), ("user_type_name", SYSNAME), ("is_identity_column", _BIT),
    ("is_computed_column", _BIT), ("error_number", _INT), ("error_severity", _INT), ("error_state", _INT),
    ("error_message", _TEXT),
]  # fmt: skip


def is_description(item: exp.Expression) -> bool:
    """Whether a FROM item is a call of it."""
    called = item.this if isinstance(item, exp.Table) else None
    return isinstance(called, exp.Anonymous) and called.name.lower() == "dm_exec_describe_first_result_set"


def description(item: exp.Expression, statement: Statement) -> tuple[str, Columns]:
    """A row per column of the query that the call names, or one with its error, as DuckDB text for FROM; and its columns."""
    text = item.this.expressions[0].name
    inner = statement.of_view(0)
    try:
        query = inner.query(_parsed(text))
        rows = [_row(number, column, statement) for number, column in enumerate(query.columns, start=1)]
    except SqlError as error:
        rows = [[False, 0, *[None] * 12, error.number, error.severity, error.state, str(error)]]
    return literal_rows(_SHAPE, rows)


def _parsed(text: str) -> Any:
    try:
        found = parse(text, read="tsql")
    except ParseError as error:
        raise bad_syntax(str(error.errors[0].get("highlight", "")) if error.errors else text[:30]) from None
    if not found or found[0] is None:
        raise bad_syntax(text[:30])
    return found[0]


def _row(number: int, column: QueryColumn, statement: Statement) -> list[Any]:
    kind = column.kind
    if kind is None:
        raise NotSupported(f"the type of column {number} in a description")
    size, ids = digits(kind), type_ids(kind)
    name = str(kind).replace("rowversion", "timestamp")
    collation = (kind.collation or statement.catalog.collation) if kind.name in TEXTS - {"xml"} else None
    return [
        False, number, column.name or None, kind.nullable, ids["system_type_id"], name, max_length(kind), size["precision"],
        size["scale"], collation, None, None, kind.identity, kind.computed, None, None, None, None,
    ]  # fmt: skip
