"""SQL Server's types: as declared, as Arrow, and the expression that selects them exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from singer_arrow import types

_AS_TEXT = frozenset({"hierarchyid", "geography", "geometry"})
_SIZED = frozenset({"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"})
_STYLES = {"date": 23, "datetime": 126, "smalldatetime": 126, "datetime2": 126, "datetimeoffset": 121, "time": 114}


@dataclass(frozen=True)
class SqlColumn:
    """A column as sys.columns describes it. `max_length` is in bytes, -1 for max."""

    name: str
    type: str
    max_length: int
    precision: int
    scale: int
    nullable: bool
    identity: bool = False
    computed: bool = False
    collation: str | None = None

    @cached_property
    def declared(self) -> str:
        """The type as one declares it: `decimal(19,4)`, `nvarchar(max)`, `datetime2(7)`."""
        if self.type in ("decimal", "numeric"):
            return f"{self.type}({self.precision},{self.scale})"
        if self.type in ("datetime2", "datetimeoffset", "time"):
            return f"{self.type}({self.scale})"
        if self.type in _SIZED:
            length = self.max_length // 2 if self.type.startswith("n") else self.max_length
            return f"{self.type}({'max' if self.max_length < 0 else length})"
        return "rowversion" if self.type == "timestamp" else self.type

    @cached_property
    def arrow(self) -> pa.Field:
        """The Arrow field. Raises TypeRefused for a type that is not known."""
        return pa.field(self.name, types.of_sql(self.declared), self.nullable)

    @property
    def expression(self) -> str:
        """What to select: the column, or its text where the driver cannot carry the type."""
        quoted = quote(self.name)
        if self.type in _AS_TEXT:
            return f"CONVERT(nvarchar(max), {quoted}) AS {quoted}"
        if self.type == "sql_variant":
            return f"CONVERT(nvarchar(4000), {quoted}) AS {quoted}"
        return quoted

    @property
    def has_100_ns(self) -> bool:
        """Whether values can have a digit finer than Arrow's microsecond."""
        return self.type in ("datetime2", "datetimeoffset") and self.scale > 6

    def bookmark_expression(self, inner: str) -> str:
        """SQL text that prints a value of this column exactly, in its own precision."""
        if self.type in ("timestamp", "binary", "varbinary"):
            return f"CONVERT(varchar(max), {inner}, 1)"
        if self.type in ("float", "real"):
            return f"CONVERT(varchar(50), {inner}, 3)"
        style = f", {_STYLES[self.type]}" if self.type in _STYLES else ""
        return f"CONVERT(nvarchar(4000), {inner}{style})"

    def literal(self, text: str) -> str:
        """SQL text of a bookmark, typed as this column; quotes are doubled, so that no text ends the literal."""
        if self.type in ("timestamp", "binary", "varbinary"):
            return f"CONVERT({'binary(8)' if self.type == 'timestamp' else self.declared}, '{_escaped(text)}', 1)"
        return f"CAST(N'{_escaped(text)}' AS {self.declared})"


def quote(name: str) -> str:
    """A delimited identifier (T-SQL: `]` doubled)."""
    return "[" + name.replace("]", "]]") + "]"


def _escaped(text: str) -> str:
    return text.replace("'", "''")
