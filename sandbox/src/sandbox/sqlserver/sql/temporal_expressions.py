"""Dates and times as DuckDB expressions: between the types, and to text."""

from __future__ import annotations

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.types.sql_types import SqlType
from sandbox.sqlserver.types.temporal import DAY, DAYS_1900


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
    """A DuckDB expression of the target's stored value."""
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
