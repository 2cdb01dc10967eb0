"""The order in which a table is read, and predicates that cut it: pure SQL text.

A bound is the exact text of one row's values in the order's columns (`SqlColumn.bookmark_expression` prints it,
`SqlColumn.literal` reads it back). All comparing is left to the server, so that its collations, its order of GUIDs and its
rounding of datetime decide, whatever they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tap_mssql.read.ranges import Bound
from tap_mssql.server.sql_types import SqlColumn, quote


class KeyOrder(Struct, frozen=True):
    """Columns, none of which holds NULL in the rows that are read; they need not identify a row."""

    columns: tuple[SqlColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(c.name for c in self.columns)

    @property
    def by(self) -> str:
        """What follows ORDER BY."""
        return ", ".join(quote(c.name) for c in self.columns)

    @property
    def texts(self) -> str:
        """What to select for a bound."""
        return ", ".join(c.bookmark_expression(quote(c.name)) for c in self.columns)

    def between(self, lower: Bound | None, upper: Bound | None) -> str:
        """The condition `lower < row <= upper`; empty text where both ends are open."""
        shared = 0
        if lower and upper:
            while shared < len(self.columns) - 1 and lower[shared] == upper[shared]:
                shared += 1
        # Columns both bounds agree on are plain equalities: an index is sought by them instead of scanned.
        terms = [_compare(c, "=", text) for c, text in zip(self.columns[:shared], lower or (), strict=False)]
        if lower:
            terms.append(_beyond(self.columns[shared:], ">", lower[shared:], included=False))
        if upper:
            terms.append(_beyond(self.columns[shared:], "<", upper[shared:], included=True))
        return " AND ".join(terms)


def _beyond(columns: Sequence[SqlColumn], sign: str, texts: Sequence[str], included: bool) -> str:
    """Rows on one side of a bound, column by column: T-SQL has no comparison of rows.

    `a >= x AND (a > x OR (b > y))`: the first half is what an index can seek.
    """
    last = len(columns) == 1
    if last:
        return _compare(columns[0], f"{sign}=" if included else sign, texts[0])
    rest = _beyond(columns[1:], sign, texts[1:], included)
    return f"{_compare(columns[0], f'{sign}=', texts[0])} AND ({_compare(columns[0], sign, texts[0])} OR ({rest}))"


def _compare(column: SqlColumn, sign: str, text: str) -> str:
    return f"{quote(column.name)} {sign} {column.literal(text)}"
