"""What a load selects: a table's columns, and what is kept beside them on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tap_mssql.config.settings import Settings
from tap_mssql.errors import SelectionRefused
from tap_mssql.server.sql_types import SqlColumn, quote

_DRIVER_BUFFER = 16  # bytes of a value of fixed size with its length indicator, in the driver and in Arrow together
_AS_TEXT = {"uniqueidentifier": 36, "hierarchyid": 900, "sql_variant": 4_000, "geography": 8_000, "geometry": 8_000}  # characters
_PER_CHARACTER = 5  # two in the driver's buffer (UTF-16), at most three in Arrow (UTF-8)


@dataclass(frozen=True)
class Item:
    """One column of the result: its Arrow field, its SQL, and the source's type as one declares it."""

    field: pa.Field
    expression: str
    source_type: str

    @property
    def name(self) -> str:
        """The column's name in parts and records."""
        return str(self.field.name)


def items(stream: str, columns: Sequence[SqlColumn], settings: Settings) -> list[Item]:
    """The columns, each followed by the exact text of what Arrow's microseconds and UTC do not hold, where asked for.

    Raises SelectionRefused where such a name is a column's already.
    """
    found: list[Item] = []
    for column in columns:
        found.append(Item(column.arrow, column.expression, column.declared))
        if settings.keep_100ns and column.has_100_ns:
            found.append(_beside(column, "_100ns", column.bookmark_expression(quote(column.name))))
        if settings.keep_offset and column.type == "datetimeoffset":
            found.append(_beside(column, "_offset", f"DATENAME(tzoffset, {quote(column.name)})"))
    names = [item.name for item in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SelectionRefused(
            f"stream {stream}: keep_100ns and keep_offset would add {', '.join(twice)}, which the table has already"
        )
    return found


def _beside(column: SqlColumn, suffix: str, expression: str) -> Item:
    name = column.name + suffix
    return Item(pa.field(name, pa.string(), column.nullable), f"{expression} AS {quote(name)}", "varchar(34)")


def row_bytes(columns: Sequence[SqlColumn], longest: int) -> int:
    """Bytes one row may take in the driver's buffers and in Arrow; `longest` is that of all unbounded values of a row."""
    declared = sum(_DRIVER_BUFFER + _PER_CHARACTER * _characters(c) for c in columns)
    return declared + _PER_CHARACTER * longest


def _characters(column: SqlColumn) -> int:
    if column.type in _AS_TEXT:
        return _AS_TEXT[column.type]
    if column.type in ("nchar", "nvarchar", "sysname"):
        return max(column.max_length // 2, 0)
    return max(column.max_length, 0) if column.type in ("char", "varchar", "binary", "varbinary") else 0
