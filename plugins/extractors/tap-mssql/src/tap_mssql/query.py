"""The statements a load runs, as text; no I/O here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tap_mssql.catalog import Table
from tap_mssql.columns import SqlColumn, quote


@dataclass(frozen=True)
class Window:
    """The replication key and the bookmarks that bound a load: from_ < column <= to. NULLs belong to the first load."""

    column: SqlColumn
    from_: str | None
    to: str | None

    @property
    def predicate(self) -> str:
        """The WHERE clause's condition."""
        name = quote(self.column.name)
        above = f"{name} > {self.column.literal(self.from_)}" if self.from_ is not None else None
        below = f"{name} <= {self.column.literal(self.to)}" if self.to is not None else None
        bounds = " AND ".join(bound for bound in (above, below) if bound)
        if self.from_ is None and self.column.nullable:
            return f"({bounds} OR {name} IS NULL)" if bounds else f"{name} IS NULL"
        return bounds or "1 = 0"


def maximum(table: Table, column: SqlColumn) -> str:
    """The upper bound of a window, as exact text: one row, one column, NULL for no value."""
    return f"SELECT {column.bookmark_expression(f'MAX({quote(column.name)})')} FROM {table.quoted}"


def facts(table: Table, columns: Sequence[SqlColumn], window: Window | None) -> str:
    """One row: the rows the source has for this load, then per column finer than a microsecond its values with such a digit."""
    lost = "".join(f", {_finer(c)}" for c in columns if c.has_100_ns)
    return f"SELECT COUNT_BIG(*){lost} FROM {table.quoted}{_where(window)}"


def _finer(column: SqlColumn) -> str:
    return f"SUM(CASE WHEN DATEPART(nanosecond, {quote(column.name)}) % 1000 <> 0 THEN 1 ELSE 0 END)"


def rows(table: Table, columns: Sequence[SqlColumn], window: Window | None, order: Sequence[str]) -> str:
    """The rows themselves, in key order where there is a key."""
    by = f" ORDER BY {', '.join(map(quote, order))}" if order else ""
    return f"SELECT {', '.join(c.expression for c in columns)} FROM {table.quoted}{_where(window)}{by}"


def _where(window: Window | None) -> str:
    return f" WHERE {window.predicate}" if window else ""
