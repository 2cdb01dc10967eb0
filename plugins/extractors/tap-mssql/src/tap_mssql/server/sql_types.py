"""SQL Server's types: as declared, as Arrow, and the expression that selects them exactly."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

import pyarrow as pa
from msgspec import Struct

from singer_arrow import types
from singer_arrow.errors import SelectionRefused, TypeRefused

_AS_TEXT = frozenset({"hierarchyid", "geography", "geometry"})
_STRINGS = frozenset({"char", "varchar", "nchar", "nvarchar"})
_BINARY = frozenset({"binary", "varbinary"})
_SIZED = _STRINGS | _BINARY
# Styles of CONVERT that print every digit in a form that reads back the same in every language (learn.microsoft.com, CONVERT).
_STYLES = {
    **dict.fromkeys(("float", "real"), 3),
    **dict.fromkeys(("money", "smallmoney"), 2),
    **dict.fromkeys(("datetime", "smalldatetime", "datetime2"), 126),
    **dict.fromkeys(("datetimeoffset", "time"), 121),
    "date": 23,
}
_CUT = re.compile(r"(\0)|(?<=\\)(?=[\r\n])")
_HEX = re.compile(r"0x([0-9A-Fa-f]{2})*")
_NUMBERS = frozenset({"bit", "tinyint", "smallint", "int", "bigint", "decimal", "numeric"})
_ORDERABLE = _NUMBERS | _SIZED | frozenset(_STYLES) | {"uniqueidentifier", "timestamp"}


class SqlColumn(Struct, frozen=True, dict=True):
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
    description: str = ""

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
        return pa.field(self.name, _of_sql(self.declared), self.nullable)

    @property
    def unreadable(self) -> str:
        """Why the column cannot be read: its type, in words; empty where it can."""
        try:
            _ = self.arrow
        except TypeRefused:
            return (
                f"type {self.type} is not known to this tap; a view that converts it, for example to nvarchar(max), can be read"
            )
        return ""

    @property
    def orderable(self) -> bool:
        """Whether rows can be read in this column's order: `literal` reads back what `bookmark_expression` prints."""
        return self.type in _ORDERABLE and self.max_length >= 0

    @property
    def expression(self) -> str:
        """What to select: the column, or its text where the driver cannot carry the type."""
        quoted = quote(self.name)
        if self.type in _AS_TEXT:
            return f"CONVERT(nvarchar(max), {quoted}) AS {quoted}"
        if self.type == "sql_variant":
            return f"{_variant(quoted)} AS {quoted}"
        return quoted

    @property
    def has_100_ns(self) -> bool:
        """Whether values can have a digit finer than Arrow's microsecond."""
        return self.type in ("datetime2", "datetimeoffset") and self.scale > 6

    def bookmark_expression(self, inner: str) -> str:
        """SQL text that prints a value of this column exactly, in its own precision."""
        if self.type == "timestamp":
            return f"CONVERT(varchar(18), CONVERT(binary(8), {inner}), 1)"
        if self.type in _BINARY:
            return f"CONVERT(varchar(max), {inner}, 1)"
        if self.type in _STYLES:
            return f"CONVERT(varchar(50), {inner}, {_STYLES[self.type]})"
        if self.type in ("char", "varchar") and self.max_length > 4000:
            return f"CONVERT(nvarchar(max), {inner})"
        return f"CONVERT(nvarchar(4000), {inner})"

    def literal(self, value: str) -> str:
        """SQL of a bookmark, typed as this column; no text ends the literal. Raises SelectionRefused for bytes not as hex."""
        if self.type in _BINARY or self.type == "timestamp":
            if not _HEX.fullmatch(value):
                raise SelectionRefused(
                    f"column {self.name!r} ({self.declared}): {value!r} is not a binary value",
                    action="write it as hexadecimal digits, such as 0x00000000000007D1",
                )
            return f"CAST({value} AS {'binary(8)' if self.type == 'timestamp' else self.declared})"
        collate = f" COLLATE {self.collation}" if self.collation and self.type in _STRINGS else ""
        return f"CAST({text(value)}{collate} AS {self.declared})"


_of_sql = lru_cache(maxsize=4096)(types.of_sql)  # a large database has the same few types tens of thousands of times


def quote(name: str) -> str:
    """A delimited identifier (T-SQL: `]` doubled)."""
    return "[" + name.replace("]", "]]") + "]"


def text(value: str) -> str:
    """A character literal: quotes doubled; cut where T-SQL would take a backslash and a line's end away, and at NUL."""
    if not _CUT.search(value):
        return _literal(value)
    return "(" + " + ".join("NCHAR(0)" if piece == "\0" else _literal(piece) for piece in _CUT.split(value) if piece) + ")"


def _literal(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


def _variant(quoted: str) -> str:
    """The value of a sql_variant as text: in a style of its own where the base type's default style would drop digits."""
    lossy = ("float", "real", "money", "smallmoney", "datetime", "smalldatetime")
    cases = [f"WHEN N'{name}' THEN CONVERT(nvarchar(4000), CONVERT({name}, {quoted}), {_STYLES[name]})" for name in lossy]
    binary = f"CONVERT(nvarchar(max), CONVERT(varbinary(8000), {quoted}), 1)"
    cases += [f"WHEN N'{name}' THEN {binary}" for name in sorted(_BINARY)]
    # Only what nvarchar(4000) would cut goes through varchar(8000), whose code page is the database's.
    short, long = f"CONVERT(nvarchar(4000), {quoted})", f"CONVERT(varchar(8000), {quoted})"
    text = f"CASE WHEN DATALENGTH({long}) > 4000 THEN CONVERT(nvarchar(max), {long}) ELSE {short} END"
    cases += [f"WHEN N'{name}' THEN {text}" for name in ("char", "varchar")]
    return f"CASE CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({quoted}, 'BaseType')) {' '.join(cases)} ELSE {short} END"
