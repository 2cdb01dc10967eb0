"""Where the bars of the report's charts are, in units of their SVGs. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from lakehouse.run_report.document import RunReport

WIDE = 1000.0  # of a timeline
BARS = 60  # streams in a timeline: those that took longest
LEAST = 2.0  # width or height that can still be seen


class Bar(NamedTuple):
    """A bar from `x`, `width` long, and what it stands for."""

    name: str
    seconds: float
    x: float
    width: float


def timeline(report: RunReport) -> tuple[list[Bar], list[Bar]]:
    """The steps of a run, and the streams that took longest, on one axis from its start to its end."""
    start, whole = datetime.fromisoformat(report.started_at), report.seconds or 1.0

    def bar(name: str, at: str, seconds: float) -> Bar:
        began = (datetime.fromisoformat(at) - start).total_seconds()
        left, right = (min(max(each, 0.0), whole) for each in (began, began + seconds))
        width = max((right - left) / whole * WIDE, LEAST)
        return Bar(name, seconds, round(min(left / whole * WIDE, WIDE - width), 1), round(width, 1))

    longest = sorted(report.streams, key=lambda stream: -stream.seconds)[:BARS]
    streams = sorted(longest, key=lambda stream: stream.started_at)
    return (
        [bar(each.step, each.started_at, each.seconds) for each in report.steps],
        [bar(f"{each.source}/{each.stream}", each.started_at, each.seconds) for each in streams],
    )


def heights(values: Sequence[float], most: float) -> list[float]:
    """Of columns, the largest `most` high; nothing is 0 high."""
    top = max(values, default=0.0)
    return [round(max(value / top * most, LEAST), 1) if value and top else 0.0 for value in values]
