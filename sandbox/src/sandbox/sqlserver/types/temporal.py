"""Dates and times: text to the numbers `types` keeps, between the types, and to text, as DuckDB expressions."""

from __future__ import annotations

import datetime as dt
import re

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.types.sql_types import SqlType

DAY = 864_000_000_000
DAYS_1900 = 693_595  # 0001-01-01 to 1900-01-01
_TEXT = re.compile(
    r"\s*(?:(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2}))?(?:[T ]?\s*(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})"
    r"(?:[.:](?P<F>\d{1,9}))?)?)?\s*(?P<Z>Z|[+-]\d{2}:\d{2})?\s*"
)


def parse(text: str, kind: SqlType) -> int | dt.date:
    """The kept value of a text such as 2026-11-24T16:12:24.1234567+02:00.

    Raises SqlError 241 when the text is no date or time.
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
    return keep(day * DAY + seconds * 10_000_000 + fraction, offset, kind)


def keep(ticks: int, offset: int, kind: SqlType) -> int | dt.date:
    """The kept value of a local time in 100 ns since 0001-01-01 and its offset in minutes."""
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


def ticks(sql: str, kind: SqlType) -> str:
    """A DuckDB expression: the local time as 100 ns since 0001-01-01."""
    if kind.name == "datetime":
        return f"datetime_ticks({sql})"
    if kind.name == "smalldatetime":
        return f"((({sql}) + {DAYS_1900 * 1_440}) * 600000000)"
    if kind.name == "date":
        return f"(CAST(({sql}) - DATE '0001-01-01' AS BIGINT) * {DAY})"
    if kind.name == "time":
        return f"(({sql}) + {DAYS_1900 * DAY})"
    if kind.name == "datetimeoffset":
        return f"offset_ticks({sql})"
    return sql


def convert(sql: str, source: SqlType, target: SqlType) -> str:
    """A DuckDB expression of the target's kept value."""
    if source.name == target.name and source.scale <= target.scale:
        return sql
    if source.name == "datetimeoffset" == target.name:
        raise NotSupported(f"{source} to {target}")
    local = ticks(sql, source)
    if target.name == "date":
        return f"ticks_date({local})"
    if target.name == "datetime":
        return f"ticks_datetime({local})"
    if target.name == "smalldatetime":
        return f"((({local}) + 300000000) // 600000000 - {DAYS_1900 * 1_440})"
    unit = 10 ** (7 - target.scale)
    rounded = local if unit == 1 else f"((({local}) + {unit // 2}) // {unit} * {unit})"
    if target.name == "time":
        return f"({rounded} % {DAY})"
    if target.name == "datetimeoffset":
        return f"(CAST({rounded} AS HUGEINT) * 4096 + 2048)"
    return rounded


def to_text(sql: str, kind: SqlType, style: int | None) -> str:
    """CONVERT(varchar, …, style) as a DuckDB expression; styles 20, 21, 23, 25, 112, 120, 121, 126, 127."""
    if style is None or style == 0:
        if kind.name in ("datetime", "smalldatetime"):
            raise NotSupported(f"CONVERT of {kind} to text without a style (use 121 or 126)")
        style = 121
    local = ticks(sql, kind)
    if style == 23:
        return f"CAST(ticks_date({local}) AS VARCHAR)"
    if style == 112:
        return f"replace(CAST(ticks_date({local}) AS VARCHAR), '-', '')"
    if style not in (20, 21, 25, 120, 121, 126, 127):
        raise NotSupported(f"style {style} of CONVERT from {kind}")
    if kind.name == "date":
        return f"CAST({sql} AS VARCHAR)"
    digits = 0 if style in (20, 120) else 3 if kind.name in ("datetime", "smalldatetime") else kind.scale
    if kind.name == "time":
        return f"time_text({sql}, {digits})"
    separator = "T" if style in (126, 127) else " "
    if kind.name == "datetimeoffset" and style == 127:
        return f"ticks_text(CAST(({sql}) // 4096 AS BIGINT), 'T', {digits}) || 'Z'"
    if kind.name in ("datetime", "smalldatetime") and style in (126, 127):
        text = f"regexp_replace(ticks_text({local}, 'T', 3), '\\.000$', '')"
    else:
        text = f"ticks_text({local}, '{separator}', {digits})"
    if kind.name == "datetimeoffset":
        text += f" || {repr('') if separator == 'T' else repr(' ')} || offset_text({sql})"
    return f"({text})"


MACROS = [
    f"CREATE OR REPLACE MACRO datetime_ticks(v) AS ((v + {DAYS_1900 * 25_920_000}) // 3) * 100000 "
    f"+ (((v + {DAYS_1900 * 25_920_000}) % 3) * 100000 + 1) // 3",
    "CREATE OR REPLACE MACRO offset_ticks(v) AS CAST(v // 4096 AS BIGINT) + (CAST(v % 4096 AS BIGINT) - 2048) * 600000000",
    f"CREATE OR REPLACE MACRO ticks_date(t) AS DATE '0001-01-01' + CAST(t // {DAY} AS INTEGER)",
    f"CREATE OR REPLACE MACRO ticks_datetime(t) AS (t // {DAY} - {DAYS_1900}) * 25920000 + ((t % {DAY}) * 3 + 50000) // 100000",
    "CREATE OR REPLACE MACRO time_text(r, digits) AS printf('%02d:%02d:%02d', r // 36000000000, "
    "r // 600000000 % 60, r // 10000000 % 60) || CASE WHEN digits > 0 THEN '.' || left(printf('%07d', "
    "CASE WHEN digits = 3 THEN (r % 10000000 + 5000) // 10000 * 10000 ELSE r % 10000000 END), digits) ELSE '' END",
    f"CREATE OR REPLACE MACRO ticks_text(t, separator, digits) AS CAST(ticks_date(t) AS VARCHAR) || separator "
    f"|| time_text(t % {DAY}, digits)",
    "CREATE OR REPLACE MACRO offset_text(v) AS CASE WHEN v % 4096 < 2048 THEN '-' ELSE '+' END "
    "|| printf('%02d:%02d', abs(CAST(v % 4096 AS BIGINT) - 2048) // 60, abs(CAST(v % 4096 AS BIGINT) - 2048) % 60)",
    "CREATE OR REPLACE MACRO guid_hex(h) AS h[31:32] || h[29:30] || h[27:28] || h[25:26] || '-' || h[23:24] || h[21:22] "
    "|| '-' || h[19:20] || h[17:18] || '-' || h[13:16] || '-' || h[1:12]",
    "CREATE OR REPLACE MACRO guid_text(b) AS guid_hex(hex(b))",
]
