"""A value as the server itself prints it, and whether a value of a part is the same one. Pure.

Styles of CONVERT: learn.microsoft.com, "CAST and CONVERT".
"""

from __future__ import annotations

import struct
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tap_mssql.server.sql_types import quote

_MICROSECONDS = 26  # characters of `2024-02-29 12:34:56.123456`: what lies behind is finer than a part holds


def base(declared: str) -> str:
    """`datetime2` of `datetime2(7)`."""
    return declared.partition("(")[0]


def expression(declared: str, column: str) -> str:
    """SQL that prints a column."""
    kind, name = base(declared), quote(column)
    if kind in ("float", "real"):
        return f"CONVERT(varchar(50), {name}, 3)"
    if kind in ("money", "smallmoney"):
        return f"CONVERT(varchar(50), {name}, 2)"
    if kind == "date":
        return f"CONVERT(varchar(10), {name}, 23)"
    if kind in ("datetime", "smalldatetime", "datetime2"):
        return f"CONVERT(varchar(30), {name}, 121)"
    if kind == "datetimeoffset":
        return f"CONVERT(varchar(30), CONVERT(datetime2(7), SWITCHOFFSET({name}, '+00:00')), 121)"
    if kind in ("binary", "varbinary", "rowversion"):
        return f"CONVERT(varchar(max), CONVERT(varbinary(max), {name}), 1)"
    if kind in ("char", "varchar", "nchar", "nvarchar", "xml", "hierarchyid", "sql_variant"):
        return f"CONVERT(nvarchar({'4000' if kind == 'sql_variant' else 'max'}), {name})"
    return f"CONVERT(varchar(60), {name})"


def values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; times of day as their nanoseconds, which Python's do not have."""
    if not pa.types.is_time(column.type):
        return list(column.to_pylist())
    unit = 1 if column.type.unit == "ns" else 1000
    return [None if value is None else value * unit for value in column.cast(pa.int64()).to_pylist()]


def is_same(declared: str, text: str | None, value: Any) -> bool:
    """Whether what the server printed is the value of a part."""
    if text is None or value is None:
        return text is value
    kind = base(declared)
    if kind == "bit":
        return text == str(int(value))
    if kind == "float":
        return bool(float(text) == value)
    if kind == "real":
        return bool(struct.pack("<f", float(text)) == struct.pack("<f", value))
    if kind in ("decimal", "numeric", "money", "smallmoney"):
        return bool(Decimal(text) == value)
    if kind == "date":
        return bool(text == value.isoformat())
    if kind in ("datetime", "smalldatetime", "datetime2", "datetimeoffset"):
        return bool(datetime.fromisoformat(text[:_MICROSECONDS]) == value.replace(tzinfo=None))
    if kind == "time":
        clock, _, fraction = text.partition(".")
        hours, minutes, seconds = map(int, clock.split(":"))
        return bool(((hours * 60 + minutes) * 60 + seconds) * 10**9 + int(fraction.ljust(9, "0") or 0) == value)
    if kind in ("binary", "varbinary", "rowversion"):
        return bool(text == f"0x{value.hex().upper()}")
    return text == str(value)
