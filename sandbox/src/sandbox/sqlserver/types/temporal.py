"""Dates and times as Python numbers in the form in which they are stored (see `sql_types`)."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import Any

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.types.sql_types import SqlType

DAY = 864_000_000_000  # 100 ns
DAYS_1900 = 693_595  # 0001-01-01 to 1900-01-01
DAYS_9999 = 3_652_059  # 0001-01-01 to the end of 9999
UNIX_EPOCH = 719_162 * DAY  # 0001-01-01 to 1970-01-01
_DATETIME = SqlType("datetime")
_TEXT = re.compile(
    r"\s*(?:(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2}))?(?:[T ]?\s*(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})"
    r"(?:[.:](?P<F>\d{1,9}))?)?)?\s*(?P<Z>Z|[+-]\d{2}:\d{2})?\s*"
)


def parse(text: str, kind: SqlType) -> int | dt.date:
    """Parses a text such as 2026-11-24T16:12:24.1234567+02:00.

    Returns the stored value. Raises SqlError 241 when the text is not a date or time.
    """
    found = _TEXT.fullmatch(text)
    if not found or (found["y"] is None and found["H"] is None and text.strip()):
        raise SqlError(241, "Conversion failed when converting date and/or time from character string.")
    try:
        day = dt.date(int(found["y"] or 1900), int(found["m"] or 1), int(found["d"] or 1)).toordinal() - 1
    except ValueError:
        raise SqlError(241, "Conversion failed when converting date and/or time from character string.") from None
    fraction = int(((found["F"] or "0") + "00000000")[:7])
    seconds = int(found["H"] or 0) * 3_600 + int(found["M"] or 0) * 60 + int(found["S"] or 0)
    offset = 0
    if found["Z"] and found["Z"] != "Z":
        offset = (1 if found["Z"][0] == "+" else -1) * (int(found["Z"][1:3]) * 60 + int(found["Z"][4:6]))
    ticks = day * DAY + seconds * 10_000_000 + fraction
    if kind.name == "datetimeoffset" and not 0 <= ticks - offset * 600_000_000 < DAYS_9999 * DAY:  # what is stored is UTC
        raise SqlError(241, "Conversion failed when converting date and/or time from character string.")
    return store(ticks, offset, kind)


def store(ticks: int, offset: int, kind: SqlType) -> int | dt.date:
    """The stored value of a local time in 100 ns since 0001-01-01 and its offset in minutes."""
    if kind.name == "date":
        return dt.date.fromordinal(ticks // DAY + 1)
    if kind.name == "datetime":
        return (ticks // DAY - DAYS_1900) * 25_920_000 + (ticks % DAY * 3 + 50_000) // 100_000
    if kind.name == "smalldatetime":
        return (ticks + 300_000_000) // 600_000_000 - DAYS_1900 * 1_440
    unit: int = 10 ** (7 - kind.scale)
    rounded: int = (ticks + unit // 2) // unit * unit
    if kind.name == "time":
        return rounded % DAY
    if kind.name == "datetimeoffset":
        return (rounded - offset * 600_000_000) * 4_096 + offset + 2_048
    return rounded


def local_ticks(value: Any, kind: SqlType) -> tuple[int, int]:
    """A stored time as 100 ns of local time since 0001-01-01, and its offset in minutes."""
    if kind.name == "date":
        assert isinstance(value, dt.date)
        return (value.toordinal() - 1) * DAY, 0
    if kind.name == "time":
        return DAYS_1900 * DAY + value, 0
    if kind.name == "datetime":
        since = value + DAYS_1900 * 25_920_000
        return since // 3 * 100_000 + (since % 3 * 100_000 + 1) // 3, 0
    if kind.name == "smalldatetime":
        return (value + DAYS_1900 * 1_440) * 600_000_000, 0
    if kind.name == "datetimeoffset":
        offset = value % 4_096 - 2_048
        return value // 4_096 + offset * 600_000_000, offset
    return value, 0


def now_datetime() -> int:
    """This moment as `datetime` is stored: 1/300 s since 1900-01-01, in UTC."""
    stored = store(UNIX_EPOCH + time.time_ns() // 100, 0, _DATETIME)
    assert not isinstance(stored, dt.date)
    return stored
