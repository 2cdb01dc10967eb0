"""What a load selects: a table's columns, and what is kept beside them on request."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from msgspec import Struct

from singer_arrow import compute as pc
from singer_arrow.errors import SelectionRefused, ValueRefused
from tap_mssql.config.settings import Settings
from tap_mssql.server.sql_types import SqlColumn, quote

_DRIVER_BUFFER = 16  # bytes of a value of fixed size with its length indicator, in the driver and in Arrow together
_AS_TEXT = {"uniqueidentifier": 36, "hierarchyid": 900, "sql_variant": 4_000, "geography": 8_000, "geometry": 8_000}  # characters
_PER_CHARACTER = 5  # two in the driver's buffer (UTF-16), at most three in Arrow (UTF-8)


class SelectItem(Struct, frozen=True):
    """One column of the result: its Arrow field, its SQL, and the source's type as one declares it."""

    field: pa.Field
    expression: str
    source_type: str

    @property
    def name(self) -> str:
        """The column's name in parts and records."""
        return str(self.field.name)


def select_list(stream: str, columns: Sequence[SqlColumn], settings: Settings) -> list[SelectItem]:
    """The columns, each followed by the exact text of what Arrow's microseconds and UTC do not hold, where asked for.

    Raises SelectionRefused where such a name is a column's already.
    """
    found: list[SelectItem] = []
    for column in columns:
        found.append(SelectItem(column.arrow, column.expression, column.declared))
        if settings.keep_100ns and column.has_100_ns:
            found.append(_beside(column, "_100ns", column.bookmark_expression(quote(column.name))))
        if settings.keep_offset and column.type == "datetimeoffset":
            found.append(_beside(column, "_offset", f"DATENAME(tzoffset, {quote(column.name)})"))
    names = [item.name for item in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SelectionRefused(
            f"stream {stream}: keep_100ns and keep_offset add {', '.join(twice)}, a name that a column of the table has already",
            action="deselect that column, or set keep_100ns and keep_offset to false",
        )
    return found


def arrow_schema(items: Sequence[SelectItem]) -> pa.Schema:
    """The columns of a load's parts."""
    return pa.schema([item.field for item in items])


def in_declared_types(columns: Sequence[pa.Array], items: Sequence[SelectItem]) -> pa.RecordBatch:
    """The driver's columns in the declared types. Raises ValueRefused naming the column whose values do not fit."""
    arrays = []
    for item, values in zip(items, columns, strict=True):
        try:
            arrays.append(values if values.type == item.field.type else pc.cast(values, item.field.type))
        except pa.ArrowInvalid as error:
            raise ValueRefused(f"column {item.name!r} ({item.source_type}): {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(items))


def _beside(column: SqlColumn, suffix: str, expression: str) -> SelectItem:
    name = column.name + suffix
    return SelectItem(pa.field(name, pa.string(), column.nullable), f"{expression} AS {quote(name)}", "varchar(34)")


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
