"""The statements a load runs, as text; no I/O here. `source` is what they read from: what stands behind FROM."""

from __future__ import annotations

from collections.abc import Sequence

from tap_mssql.plan.key_order import KeyOrder
from tap_mssql.server.sql_types import SqlColumn, quote

ROWVERSION = "timestamp"
ROWS_SENT = "SELECT ROWCOUNT_BIG()"  # how many rows the statement in front of it sent: one row
MOST_BITS = 62  # of a bigint
_VARYING = frozenset({"varchar", "nvarchar", "varbinary"})
# Rows of transactions that are still open have this rowversion or a later one (learn.microsoft.com, MIN_ACTIVE_ROWVERSION).
_BELOW_ACTIVE = "CONVERT(binary(8), CONVERT(bigint, MIN_ACTIVE_ROWVERSION()) - 1)"


def maximum(source: str, column: SqlColumn, condition: str = "") -> str:
    """The upper bound of a window, as exact text: one row, one column, NULL for no value."""
    if column.type == ROWVERSION:
        return f"SELECT {column.bookmark_expression(_BELOW_ACTIVE)}"
    return f"SELECT {column.bookmark_expression(f'MAX({quote(column.name)})')} FROM {source}{_where(condition)}"


def without_value(source: str, column: SqlColumn, condition: str, counted: bool) -> str:
    """The rows that have no value in a column, counted: one row; or else whether there is one: no row where not."""
    what = "COUNT_BIG(*)" if counted else "TOP (1) 1"
    return f"SELECT {what} FROM {source}{_where(all_of(condition, f'{quote(column.name)} IS NULL'))}"


def no_rows(source: str, condition: str) -> str:
    """Whether the server takes a condition, and nothing but one (`ORDER BY` behind it is none): no row."""
    return f"SELECT TOP (0) 1 FROM {source}{_where(f'({condition})')}"


def is_below(column: SqlColumn, value: str, other: str) -> str:
    """Whether a value is below another one, in the column's own order: one row, `1` or `0`."""
    return f"SELECT CASE WHEN {column.literal(value)} < {column.literal(other)} THEN '1' ELSE '0' END"


def boundary(source: str, order: KeyOrder, condition: str, rows: int) -> str:
    """The bound that ends a range of so many rows: one row, a text per column; no row where fewer are left."""
    return (
        f"SELECT {order.texts} FROM {source}{_where(condition)} ORDER BY {order.by} "
        f"OFFSET {max(rows, 1) - 1} ROWS FETCH NEXT 1 ROWS ONLY"
    )


def count(source: str, condition: str) -> str:
    """One row: how many rows meet the condition."""
    return f"SELECT COUNT_BIG(*) FROM {source}{_where(condition)}"


def repeated(source: str, columns: Sequence[SqlColumn], condition: str) -> str:
    """A key that more than one row has, its values and the number of its rows; no row where there is none."""
    names = ", ".join(quote(c.name) for c in columns)
    return f"SELECT TOP (1) {names}, COUNT_BIG(*) FROM {source}{_where(condition)} GROUP BY {names} HAVING COUNT_BIG(*) > 1"


def longest(source: str, columns: Sequence[SqlColumn], condition: str, order: KeyOrder | None, most: int | None) -> str:
    """One row: per column the most bytes that a value has, NULL where none has any; of the first `most` rows where given."""
    greatest = ", ".join(f"MAX(DATALENGTH({quote(c.name)}))" for c in columns)
    if not most:
        return f"SELECT {greatest} FROM {source}{_where(condition)}"
    first = rows(source, [quote(c.name) for c in columns], condition, order, most)
    return f"SELECT {greatest} FROM ({first}) AS first"


def figures(source: str, expressions: Sequence[str], condition: str) -> str:
    """One row: rows, then each aggregate over them."""
    return f"SELECT {', '.join(['COUNT_BIG(*)', *expressions])} FROM {source}{_where(condition)}"


def finer_than_a_microsecond(columns: Sequence[SqlColumn]) -> list[SqlColumn]:
    """Columns whose values can be finer than a microsecond."""
    return [c for c in columns if c.has_100_ns]


def unbounded(columns: Sequence[SqlColumn]) -> list[SqlColumn]:
    """Columns of text or bytes whose declaration does not say how long a value can be."""
    return [c for c in columns if c.type in ("text", "ntext", "image", "xml") or (c.max_length < 0 and c.type in _VARYING)]


def rows(source: str, expressions: Sequence[str], condition: str, order: KeyOrder | None, most: int | None = None) -> str:
    """The rows themselves, in the order given; the first `most` of them where that is given."""
    by = f" ORDER BY {order.by}" if order else ""
    top = f"TOP ({most}) " if most else ""
    return f"SELECT {top}{', '.join(expressions)} FROM {source}{_where(condition)}{by}"


def finer_bits(columns: Sequence[SqlColumn]) -> str:
    """A number per row: bit n is set where the nth of these columns, MOST_BITS at most, has a digit below a microsecond."""
    bits = (
        f"CASE WHEN DATEPART(nanosecond, {quote(c.name)}) % 1000 <> 0 THEN CONVERT(bigint, {1 << n}) ELSE 0 END"
        for n, c in enumerate(columns)
    )
    return " + ".join(bits)


def version(object_id: int, is_synonym: bool = False) -> str:
    """When a table was altered last, and its name: one row, none when it is gone. Of a synonym, the table that it stands for."""
    number = str(int(object_id))
    if is_synonym:
        number = f"(SELECT OBJECT_ID(y.base_object_name) FROM sys.synonyms AS y WHERE y.object_id = {number})"
    return (
        "SELECT CONVERT(varchar(30), o.modify_date, 121), SCHEMA_NAME(o.schema_id), o.name "
        f"FROM sys.objects AS o WHERE o.object_id = {number}"
    )


def all_of(*conditions: str) -> str:
    """The conditions joined by AND, without those that are empty text."""
    given = [c for c in conditions if c]
    return given[0] if len(given) == 1 else " AND ".join(f"({c})" for c in given)


def _where(condition: str) -> str:
    return f" WHERE {condition}" if condition else ""
