"""The run report as one HTML page that needs nothing else: styles and charts are in it, and nothing outside is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakehouse.run_report import drawing
from lakehouse.run_report.document import RunReport, RunStream
from lakehouse.run_report.files import PastRun, name_of
from singer_arrow.start import importing

TEMPLATE = Path(__file__).with_name("page.html.jinja")
CHART_HIGH = 60.0
CHARTED = 30  # runs
LEAST_SLOTS = 12  # for columns of a chart: a few would be as wide as a wall


def page(report: RunReport, past: Sequence[PastRun]) -> str:
    """The page of a run; `past` are the runs before it, oldest first. All text is escaped."""
    with importing():
        from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, optimized=False)
    environment.filters |= {"count": _count, "size": _size, "span": _span, "clock": _clock}
    now = PastRun(report.run_id, report.started_at, report.seconds, report.complete, report.rows, report.bytes)
    runs = [*(run for run in past if run.run_id != report.run_id), now][-CHARTED:]
    steps, streams = drawing.timeline(report)
    charts = [
        (name, [show(value) for value in values], drawing.heights(values, CHART_HIGH))
        for name, values, show in (
            ("Rows", [float(run.rows) for run in runs], _count),
            ("Seconds", [run.seconds for run in runs], _span),
            ("Bytes", [float(run.bytes) for run in runs], _size),
        )
    ]
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        report=report, runs=runs, charts=charts, steps=steps, streams=streams, name_of=name_of,
        wide=drawing.WIDE, high=CHART_HIGH, slots=max(len(runs), LEAST_SLOTS),
        told=[each for each in report.streams if is_told(each)],
        notes=notes_of(report.streams),
        missing=[each for each in report.streams if not each.is_done],
    )  # fmt: skip


def is_told(stream: RunStream) -> bool:
    """Whether there is more to be known of a stream than its figures and notes."""
    return bool(stream.dead_letters or stream.left_out or stream.deletes or stream.drift or stream.problems or stream.action)


def notes_of(streams: Sequence[RunStream]) -> dict[str, list[RunStream]]:
    """Each note with the streams that have it: many have the same."""
    found: dict[str, list[RunStream]] = {}
    for stream in streams:
        for note in stream.notes:
            found.setdefault(note, []).append(stream)
    return found


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _size(value: float) -> str:
    """Bytes, in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def _span(seconds: float) -> str:
    """Seconds, or minutes and hours where they are many."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _clock(moment: str) -> str:
    """`2026-11-27 00:14:06` of a UtcText."""
    return moment[:19].replace("T", " ")
