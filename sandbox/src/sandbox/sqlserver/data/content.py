"""What a fresh database holds."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.sqlserver.data.parquet_tables import ParquetTable
from sandbox.sqlserver.types.collations import DEFAULT


@dataclass(frozen=True)
class Content:
    """The generated tables at a scale (None: without them), tables from files, so many empty ones, and the collation."""

    scale: float | None = 1.0
    parquet: tuple[ParquetTable, ...] = ()
    tables: int = 0
    collation: str = DEFAULT

    @property
    def stamp(self) -> str:
        """Changes when the content does."""
        return "\n".join([f"{self.scale} {self.tables} {self.collation}", *(given.stamp for given in self.parquet)])
