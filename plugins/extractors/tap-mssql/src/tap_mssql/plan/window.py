"""The replication key's window of an incremental load: pure SQL text."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tap_mssql.server.sql_types import SqlColumn, quote

UNIQUE = frozenset({"timestamp", "rowversion"})  # no two rows of a database have the same value
OPEN = "value_is_open"  # in a bookmark: the rows that have its own value are still to be read


class Window(Struct, frozen=True):
    """`from_ < column <= to`, exact text or None for an open end; `from_` itself too when it is included.

    `excludes_to`: the upper end itself waits, since rows with that value may still come (`is_open`). NULLs belong to no window:
    each load of a stream with a key reads them. `moves_bookmark` is false for a backfill.
    """

    column: SqlColumn
    from_: str | None
    to: str | None
    includes_from: bool = False
    includes_nulls: bool = False
    moves_bookmark: bool = True
    excludes_to: bool = False
    notes: tuple[str, ...] = ()

    @property
    def predicate(self) -> str:
        """The condition on rows with a value; one that no row meets when there is nothing to read."""
        name = quote(self.column.name)
        if self.to is None:
            return "1 = 0"
        above = (
            [f"{name} {'>=' if self.includes_from else '>'} {self.column.literal(self.from_)}"] if self.from_ is not None else []
        )
        return " AND ".join([*above, f"{name} {'<' if self.excludes_to else '<='} {self.column.literal(self.to)}"])

    @property
    def nulls(self) -> str:
        """The condition on the rows without a value."""
        return f"{quote(self.column.name)} IS NULL"

    @property
    def with_nulls(self) -> str:
        """The condition on every row of the load, for a table that is read in one go."""
        return f"({self.predicate} OR {self.nulls})" if self.includes_nulls else self.predicate

    @property
    def identity(self) -> dict[str, Any]:
        """What tells two windows apart but their upper end, which a later run takes over from the one that broke."""
        return {
            "column": self.column.name,
            "collation": self.column.collation,
            "from": self.from_,
            "includes_from": self.includes_from,
            "includes_nulls": self.includes_nulls,
            "excludes_to": self.excludes_to,
        }

    @property
    def mark(self) -> dict[str, Any]:
        """What the bookmark holds beside the end of the window."""
        return {OPEN: True} if self.excludes_to else {}
