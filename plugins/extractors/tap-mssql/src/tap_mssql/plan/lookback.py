"""What lies `lookback` before a bookmark of SQL Server, as text that the column's literal takes. Pure.

It is not asked of the server, which ends a statement whose value leaves its type: a stream whose bookmark is near the least value
could not be read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from singer_arrow.lookback import day_before, number_before
from tap_mssql.server.sql_types import SqlColumn

_NUMBERS = frozenset({"tinyint", "smallint", "int", "bigint", "decimal", "numeric", "money", "smallmoney", "float", "real"})
_MOMENTS = frozenset({"datetime", "smalldatetime", "datetime2", "datetimeoffset"})
_LEAST = {"tinyint": Decimal(0), "money": Decimal("-922337203685477.5808"), "smallmoney": Decimal("-214748.3648")}
_FIRST = {"datetime": datetime(1753, 1, 1), "smalldatetime": datetime(1900, 1, 1)}
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)? ?([+-]\d\d:\d\d)?")


def is_possible(column: SqlColumn) -> bool:
    """Whether something can be subtracted from a value of a column."""
    return column.type in _NUMBERS or column.type in _MOMENTS or column.type in ("date", "time")


def before(column: SqlColumn, bookmark: str, lookback: int) -> str:
    """The value: seconds before dates (whole days) and times, units before numbers; at least the least that the column holds."""
    if column.type in _NUMBERS:
        arrow = column.arrow.type
        if pa.types.is_floating(arrow):
            return repr(float(bookmark) - lookback)
        return number_before(bookmark, Decimal(lookback), arrow, _LEAST.get(column.type))
    if column.type == "date":
        return day_before(bookmark, lookback)
    if column.type == "time":
        return _time_before(bookmark, lookback)
    return _moment_before(bookmark, lookback, _FIRST.get(column.type, datetime.min))


def _time_before(bookmark: str, lookback: int) -> str:
    clock, _, fraction = bookmark.partition(".")
    hours, minutes, seconds = map(int, clock.split(":"))
    left = hours * 3_600 + minutes * 60 + seconds - lookback
    if left < 0:
        return "00:00:00"
    return f"{left // 3_600:02d}:{left // 60 % 60:02d}:{left % 60:02d}" + (f".{fraction}" if fraction else "")


def _moment_before(bookmark: str, lookback: int, first: datetime) -> str:
    """The digits behind the second stay, up to seven, of which Python's datetime holds six; an offset becomes UTC."""
    found = _MOMENT.fullmatch(bookmark)
    assert found is not None, bookmark
    day, clock, fraction, offset = found.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{offset or ''}")
    if offset:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    zone = "+00:00" if offset else ""
    if moment - first < timedelta(seconds=lookback):
        return first.isoformat() + zone
    return (moment - timedelta(seconds=lookback)).isoformat() + (fraction or "") + zone
