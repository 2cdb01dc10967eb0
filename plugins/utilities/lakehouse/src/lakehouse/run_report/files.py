"""The folder of reports: `<UTC>-<run id>.json` and `.html` of the newest runs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lakehouse.run_report.document import RunReport
from singer_arrow import durable


class PastRun(msgspec.Struct, frozen=True):
    """Of an earlier report, what charts show; reading only this keeps reading many of them short."""

    run_id: str
    started_at: str
    seconds: float
    complete: bool
    rows: int
    bytes: int


def name_of(report: RunReport | PastRun) -> str:
    """Its files' name without ending, which sorts by time."""
    return f"{report.started_at[:19].replace('-', '').replace(':', '')}Z-{report.run_id}"


def history(folder: Path) -> list[PastRun]:
    """Earlier runs, oldest first; a file that is none is passed over."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=PastRun))
        except (OSError, msgspec.MsgspecError):
            continue
    return found


def write(folder: Path, report: RunReport, page: str, keep: int) -> Path:
    """Writes both files, and removes those of all but the newest `keep` reports; the page's path. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name_of(report)}.html"
    durable.write_bytes(file.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    durable.write_bytes(file, page.encode())
    for old in sorted(folder.glob("*.json"), reverse=True)[keep:]:
        old.unlink()
        old.with_suffix(".html").unlink(missing_ok=True)
    return file
