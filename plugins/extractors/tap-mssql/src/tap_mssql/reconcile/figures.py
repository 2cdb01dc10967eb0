"""Figures of a column as SQL, and what the server answers as text: docs/contracts.md, Column facts and Reconcile. Pure.

Each figure is an aggregate that SQL Server and Spark compute exactly alike. Where they cannot, the column has `non_null` alone.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from singer_arrow import types
from singer_arrow.facts import time_text
from tap_mssql.server.sql_types import SqlColumn, quote

WHOLE = frozenset({"tinyint", "smallint", "int", "bigint"})
TEXT = frozenset({"char", "varchar", "nchar", "nvarchar", "sysname", "uniqueidentifier"})
BYTES = frozenset({"binary", "varbinary", "timestamp"})
MOMENTS = frozenset({"datetime", "smalldatetime", "datetime2", "datetimeoffset"})
SUMMED_DIGITS = 28  # docs/contracts.md: of decimals with more digits there is no sum
DAY_ONE = "CAST('1970-01-01' AS date)"
EPOCH = datetime(1970, 1, 1)


def figures(column: SqlColumn) -> dict[str, str]:
    """The SQL of each figure, by its name."""
    name, kind = quote(column.name), column.type
    found = {"non_null": f"COUNT_BIG(CASE WHEN {name} IS NOT NULL THEN 1 END)"}
    if kind == "bit":
        return found | {"sum": f"SUM(CONVERT(bigint, {name}))"}
    if kind in WHOLE:
        return found | {"sum": _sum(name), **_ends(name)}
    if kind in ("decimal", "numeric", "money", "smallmoney"):
        precision, scale = _digits(column)
        summed = {"sum": _sum(name, scale)} if precision <= SUMMED_DIGITS else {}
        return found | summed | {end: f"CONVERT(decimal({precision}, {scale}), {sql})" for end, sql in _ends(name).items()}
    if kind in ("float", "real"):
        return found | {end: f"CONVERT(varchar(50), {sql}, 3)" for end, sql in _ends(name).items()}
    if kind == "date":
        ends = {end: f"CONVERT(varchar(10), {sql}, 23)" for end, sql in _ends(name).items()}
        return found | {"sum": _sum(f"DATEDIFF(day, {DAY_ONE}, {name})"), **ends}
    if kind in MOMENTS or kind == "time":
        number = _nanoseconds(name) if kind == "time" else _microseconds(column)
        return found | {"sum": _sum(number), **_ends(number)}
    if kind in TEXT:
        return found | {"hash": _hash(f"CONVERT(nvarchar(max), {name})")}
    return found | {"hash": _hash(f"CONVERT(varbinary(max), {name})")} if kind in BYTES else found


def text(column: SqlColumn, figure: str, value: Any) -> str | None:
    """A figure as docs/contracts.md writes it; of no values the sum and the hash are 0."""
    if value is None:
        return "0" if figure in ("sum", "hash") else None
    if figure in ("min", "max"):
        if column.type in MOMENTS:
            moment = (EPOCH + timedelta(microseconds=int(value))).isoformat(timespec="microseconds")
            return moment + "Z" if column.type == "datetimeoffset" else moment
        if column.type == "time":
            return time_text(int(value))
        if column.type in ("float", "real"):
            return repr(float(value) + 0.0)
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _digits(column: SqlColumn) -> tuple[int, int]:
    """Precision and scale of a decimal, as it is in parts and in Delta."""
    precision, scale = re.findall(r"\d+", types.type_text(column.arrow.type))[1:]
    return int(precision), int(scale)


def _sum(number: str, scale: int = 0) -> str:
    return f"SUM(CONVERT(decimal(38, {scale}), {number}))"


def _ends(number: str) -> dict[str, str]:
    return {"min": f"MIN({number})", "max": f"MAX({number})"}


def _hash(value: str) -> str:
    return _sum(f"CONVERT(bigint, CONVERT(binary(6), HASHBYTES('SHA2_256', {value})))")


def _seconds(moment: str) -> str:
    return f"DATEPART(hour, {moment}) * 3600 + DATEPART(minute, {moment}) * 60 + DATEPART(second, {moment})"


def _nanoseconds(time: str) -> str:
    return f"CONVERT(bigint, {_seconds(time)}) * 1000000000 + DATEPART(nanosecond, {time})"


def _microseconds(column: SqlColumn) -> str:
    """Since 1970, in UTC where the column knows its offset.

    A datetime counts in thirds of 10 ms; to the driver it is what its text says, which has three digits.
    """
    name = quote(column.name)
    moment = f"SWITCHOFFSET({name}, '+00:00')" if column.type == "datetimeoffset" else name
    is_old = column.type in ("datetime", "smalldatetime")
    digits = f"CONVERT(int, RIGHT(CONVERT(varchar(23), {name}, 121), 3)) * 1000"
    fraction = digits if is_old else f"DATEPART(microsecond, {moment})"
    days = f"CONVERT(bigint, DATEDIFF(day, {DAY_ONE}, {moment})) * CONVERT(bigint, 86400000000)"
    return f"{days} + CONVERT(bigint, {_seconds(moment)}) * 1000000 + {fraction}"
