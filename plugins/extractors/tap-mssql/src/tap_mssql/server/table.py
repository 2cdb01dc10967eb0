"""A table or view as the server describes it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from tap_mssql.server.sql_types import SqlColumn, quote


class Table(Struct, frozen=True):
    """A table or view: `key` is its primary key, else its best unique index without nullable columns, else empty.

    `sql` is the query of one's own that it is, with the key that one gave it, and `problem` why that cannot be read.

    `indexes` are the key columns of every B-tree index that covers all rows, its leading column first. Estimates are the
    server's own, of rows and of bytes that they take on its disk; None where it has none, as for a view.
    """

    schema: str
    name: str
    is_view: bool
    columns: tuple[SqlColumn, ...]
    key: tuple[str, ...]
    row_estimate: int | None
    has_primary_key: bool = False
    object_id: int = 0
    modify_date: datetime | None = None
    indexes: tuple[tuple[str, ...], ...] = ()
    byte_estimate: int | None = None
    description: str = ""
    is_synonym: bool = False
    is_tracked: bool = False  # its changes are, where that was asked for
    sql: str = ""
    problem: str = ""

    @property
    def stream(self) -> str:
        """The stream's name, as the published tap-mssql builds it."""
        return f"{self.schema}-{self.name}"

    @property
    def quoted(self) -> str:
        """The name in SQL; of a query, the derived table that it is."""
        return f"({self.sql}\n) AS {quote(self.name)}" if self.sql else f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the query that it is, in hexadecimal; empty text for a table or view."""
        return hashlib.sha256(self.sql.encode()).hexdigest() if self.sql else ""

    @property
    def row_bytes(self) -> int:
        """Bytes that a row takes on the server's disk, on average; 0 where it can't be told."""
        return max(1, self.byte_estimate // self.row_estimate) if self.byte_estimate and self.row_estimate else 0

    def column(self, name: str) -> SqlColumn | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)

    def described(self, columns: tuple[SqlColumn, ...], problem: str) -> Table:
        """The same with other columns, and what stands in its way."""
        return replace(self, columns=columns, problem=problem)
