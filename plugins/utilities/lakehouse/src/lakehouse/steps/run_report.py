"""What entrypoint.sh noted of a run, with what the steps wrote, into the folder of reports."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.loads import StagedLoad
from lakehouse.run_report import files
from lakehouse.run_report.document import report_of, steps_of
from lakehouse.run_report.page import page
from lakehouse.stages.base import Stage
from singer_arrow.documents import PublishedDocument

STEPS, UNREAD = "steps", "unread"  # files of the notes
FOLDER, SENT = "reports", "_reports"  # beside the folder of staged files, and on the stage


def write_report(
    notes: Path, output: Path, run_id: str, target: str, loads: list[StagedLoad], known: PublishedDocument | None, keep: int
) -> Path:
    """Writes the report of the run that `notes` are of, and returns the page's path. Raises OSError."""
    steps = steps_of((notes / STEPS).read_text().splitlines(), datetime.now(UTC))
    unread = (notes / UNREAD).read_text().splitlines() if (notes / UNREAD).exists() else []
    report = report_of(run_id or str(uuid.uuid4()), target, loads, known, steps, unread)
    folder = output.parent / FOLDER
    return files.write(folder, report, page(report, files.history(folder)), keep)


def send_report(stage: Stage, page: Path, keep: int) -> None:
    """Sends page and JSON to the stage, and removes those of all but the newest `keep` there. Raises LakehouseError."""
    for file in (page, page.with_suffix(".json")):
        stage.write(f"{SENT}/{file.name}", file.read_bytes())
    reports = sorted({name.rpartition(".")[0] for name in stage.sizes(SENT)}, reverse=True)
    stage.remove(f"{SENT}/{name}.{ending}" for name in reports[keep:] for ending in ("html", "json"))
