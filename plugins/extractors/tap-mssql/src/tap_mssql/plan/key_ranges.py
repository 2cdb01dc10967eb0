"""Ranges of a table's first key column that Delta cuts in the same way (docs/contracts.md, Reconcile): pure SQL text."""

from __future__ import annotations

from collections.abc import Sequence

from singer_arrow.documents import KeyRange
from tap_mssql.plan.key_order import KeyOrder
from tap_mssql.server.sql_types import SqlColumn, quote
from tap_mssql.server.table import Table

_ALIKE = frozenset(
    {"tinyint", "smallint", "int", "bigint", "decimal", "numeric", "money", "smallmoney", "date", "datetime", "smalldatetime"}
)


def cutting_column(table: Table, key: Sequence[str]) -> SqlColumn | None:
    """The key column that a table is cut by, None for a table that is one range.

    Both sides must order its values alike, and an index must find the ends of ranges without a sort.
    """
    column = table.column(key[0]) if key else None
    if column is None or table.is_view or not any(index[:1] == (column.name,) for index in (table.key, *table.indexes)):
        return None
    return column if column.type in _ALIKE or (column.type == "datetime2" and not column.has_100_ns) else None


def condition(column: SqlColumn, ranges: Sequence[KeyRange]) -> str:
    """The rows of some ranges, in the order of their keys; empty text for all rows."""
    joined = _joined(ranges)
    if any(each == KeyRange() for each in joined):
        return ""
    terms = [_one(column, each) for each in joined]
    return terms[0] if len(terms) == 1 else " OR ".join(f"({each})" for each in terms)


def _joined(ranges: Sequence[KeyRange]) -> list[KeyRange]:
    """Ranges that lie side by side as one."""
    found: list[KeyRange] = []
    for each in ranges:
        if found and found[-1].upper is not None and found[-1].upper == each.lower:
            found[-1] = KeyRange(found[-1].lower, each.upper)
        else:
            found.append(each)
    return found


def _one(column: SqlColumn, range_: KeyRange) -> str:
    lower, upper = ((text,) if text is not None else None for text in (range_.lower, range_.upper))
    between = KeyOrder((column,)).between(lower, upper)
    return f"{between} OR {quote(column.name)} IS NULL" if lower is None and column.nullable else between
