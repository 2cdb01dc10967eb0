"""A column as a query sees it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.types.sql_types import SqlType


@dataclass(frozen=True)
class QueryColumn:
    """A column of a FROM item or of a result: its name, its type (None: whatever DuckDB says) and its name in DuckDB.

    `refused` says whose column it is, where it may not be read.
    """

    name: str
    kind: SqlType | None
    stored: str
    refused: str = ""

    def check(self) -> None:
        """Raises SqlError 230 where the column may not be read."""
        if self.refused:
            raise SqlError(230, f"The SELECT permission was denied on the column '{self.name}' of the {self.refused}.", 14)
