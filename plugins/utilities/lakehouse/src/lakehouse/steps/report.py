"""`lakehouse report`: what a run moved, from the local manifests and the published document."""

from __future__ import annotations

from datetime import datetime

from lakehouse.loads import StagedLoad
from lakehouse.terminal import show_table
from singer_arrow.documents import PublishedDocument

COLUMNS = ("source", "stream", "source rows", "Parquet rows", "Delta rows", "seconds", "rows/s", "equal")


def of_last_run(local: list[StagedLoad], known: PublishedDocument | None) -> list[StagedLoad]:
    """The loads of the newest run, and older ones that are not in Delta; files of older loads may be kept."""
    committed = set(known.committed) if known else set()
    return [load for load in local if load.manifest.run_id == local[-1].manifest.run_id or load.load_id not in committed]


def show_report(local: list[StagedLoad], known: PublishedDocument | None) -> None:
    """Rows per stream at the source, in Parquet and in Delta; seconds and rows/s of the extraction."""
    results = {result.load_id: result for result in known.loads} if known else {}
    rows = []
    for load in local:
        m = load.manifest
        seconds = (datetime.fromisoformat(m.ended_at) - datetime.fromisoformat(m.started_at)).total_seconds()
        speed = m.rows / seconds if seconds > 0 else None
        result = results.get(load.load_id)
        in_delta = (result.delta_rows, result.equal) if result else (None, None)
        rows.append((m.source, m.stream, m.source_rows, m.rows, in_delta[0], seconds, speed, in_delta[1]))
    if rows:
        show_table(f"{len(rows)} loads, {sum(load.manifest.rows for load in local):,} rows", COLUMNS, rows, left=2)
    else:
        print("No manifests here: nothing was extracted, or everything is in Delta and pruned.")
    for load in local:
        if load.manifest.dead_letters:
            print(f"  {load.source}/{load.manifest.stream}: {load.manifest.dead_letters:,} records were put aside (dead letters)")
