"""Reports of runs, for tests of the page."""

from __future__ import annotations

from typing import Any

from lakehouse.run_report.document import RunReport, RunStep, RunStream

EVIL = "<b>&\"'{{ 7777 * 7777 }}</b>"
AT = "2026-11-24T16:00:00.000000Z"


def stream(name: str, **given: Any) -> RunStream:
    figures = {
        "source": "sqlserver", "stream": name, "table": "t", "load_id": "20261124T160000Z-0a1b2c3d4e5f", "mode": "overwrite",
        "status": "applied", "equal": True, "rows": 1234, "source_rows": 1234, "delta_rows": 1234, "table_rows": 56789,
        "facts": 17, "bytes": 4321, "files": 1, "started_at": AT, "seconds": 2.0, "dead_letters": 0, "left_out": 0, "deletes": 0,
        "drift": [], "notes": [], "problems": [], "action": "",
    } | given  # fmt: skip
    return RunStream(**figures)


def report(*streams: RunStream, **given: Any) -> RunReport:
    steps = [RunStep(step="extract", started_at=AT, seconds=8.0)]
    return RunReport(
        **{"run_id": "run", "target": EVIL, "started_at": AT, "seconds": 10.0, "complete": True, "rows": 1, "bytes": 2} | given,
        steps=steps,
        streams=list(streams),
        unread=[EVIL],
    )
