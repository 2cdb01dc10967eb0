"""Functions of dates and times."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql import temporal_expressions
from sandbox.sqlserver.sql.expressions import Expressions, Handler
from sandbox.sqlserver.sql.functions.arguments import bare
from sandbox.sqlserver.sql.scope import INT, Typed
from sandbox.sqlserver.system.server import DATETIME2
from sandbox.sqlserver.types.sql_types import TEMPORAL, SqlType
from sandbox.sqlserver.types.temporal import DAY

_UNITS = {
    "day": DAY,
    "dd": DAY,
    "d": DAY,
    "hour": 36_000_000_000,
    "hh": 36_000_000_000,
    "minute": 600_000_000,
    "mi": 600_000_000,
    "n": 600_000_000,
    "second": 10_000_000,
    "ss": 10_000_000,
    "s": 10_000_000,
    "millisecond": 10_000,
    "ms": 10_000,
    "microsecond": 10,
    "mcs": 10,
}


def _ticks(expressions: Expressions, node: exp.Expression) -> tuple[str, SqlType]:
    """A date or time argument as 100 ns since 0001-01-01."""
    inner = expressions.compile(bare(node))
    kind = inner.kind
    if kind is None or kind.name not in TEMPORAL:
        kind = DATETIME2
        return expressions.coerce(inner, kind), kind
    return temporal_expressions.ticks(inner.sql if not inner.constant else expressions.coerce(inner, kind), kind), kind


def datepart(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATEPART."""
    part = node.this.name.lower()
    ticks, _ = _ticks(expressions, node.expression)
    fractions = {
        "nanosecond": "100 * ({t} % 10000000)",
        "ns": "100 * ({t} % 10000000)",
        "microsecond": "({t} % 10000000) // 10",
        "mcs": "({t} % 10000000) // 10",
        "millisecond": "({t} % 10000000) // 10000",
        "ms": "({t} % 10000000) // 10000",
        "second": "({t} // 10000000) % 60",
        "minute": "({t} // 600000000) % 60",
        "hour": "({t} // 36000000000) % 24",
    }
    if part in fractions:
        return Typed(f"CAST({fractions[part].format(t=f'({ticks})')} AS INTEGER)", INT)
    if part in ("year", "month", "day", "quarter", "week", "dayofyear"):
        return Typed(f"CAST({part}(ticks_date({ticks})) AS INTEGER)", INT)
    raise NotSupported(f"DATEPART({part})")


def datename(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATENAME(tzoffset, …) of a datetimeoffset: its offset as text, as +05:45."""
    moment = node.this.this if isinstance(node.this, exp.Cast) else node.this  # the parser puts a cast to datetime2 around it
    inner = expressions.compile(bare(moment))
    if not node.sql(dialect="tsql").lower().endswith("'tzoffset')") or inner.kind is None or inner.kind.name != "datetimeoffset":
        raise NotSupported(node.sql(dialect="tsql"))
    return Typed(f"offset_text({inner.sql})", SqlType("nvarchar", 30))


def part(name: str) -> Handler:
    """YEAR, MONTH and DAY."""

    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        inner = node.this.this if isinstance(node.this, (exp.Cast, exp.TsOrDsToDate)) else node.this
        return Typed(f"CAST({name}(ticks_date({_ticks(expressions, inner)[0]})) AS INTEGER)", INT)

    return handle


def dateadd(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATEADD of units of a fixed length."""
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise NotSupported(f"DATEADD({unit})")
    ticks, kind = _ticks(expressions, node.this)
    moved = Typed(f"({ticks} + CAST({expressions.text(node.expression)} AS BIGINT) * {_UNITS[unit]})", DATETIME2)
    return Typed(expressions.coerce(moved, kind), kind.plain)


def switch_offset(expressions: Expressions, node: exp.Expression) -> Typed:
    """SWITCHOFFSET to UTC: the same instant, written with the offset +00:00."""
    inner, offset = expressions.compile(bare(node.expressions[0])), node.expressions[1]
    if inner.kind is None or inner.kind.name != "datetimeoffset" or offset.name not in ("+00:00", "0"):
        raise NotSupported(f"SWITCHOFFSET of {inner.kind} to {offset.name}")
    return Typed(f"(({inner.sql}) // 4096 * 4096 + 2048)", inner.kind)


def datediff(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATEDIFF: boundaries of a unit that are crossed."""
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise NotSupported(f"DATEDIFF({unit})")
    end, start = _ticks(expressions, node.this)[0], _ticks(expressions, node.expression)[0]
    return Typed(f"CAST({end} // {_UNITS[unit]} - {start} // {_UNITS[unit]} AS INTEGER)", INT)
