"""`lakehouse report`: what a run moved, from the local manifests and the published document."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from lakehouse.errors import ConfigError
from lakehouse.manifest import Staged
from lakehouse.tables import show
from singer_arrow.documents import PublishedDocument


def report(local: list[Staged], known: PublishedDocument | None, timings: Path | None) -> None:
    """Rows per stream at the source, in Parquet and in Delta; seconds and rows/s of the extraction."""
    told = {load.load_id: load for load in known.loads} if known else {}
    rows = []
    for load in local:
        m = load.manifest
        seconds = (datetime.fromisoformat(m.ended_at) - datetime.fromisoformat(m.started_at)).total_seconds()
        delta = told.get(load.load_id)
        rows.append((m.source, m.stream, m.source_rows, m.rows, delta.delta_rows if delta else None, seconds,
                     m.rows / seconds if seconds > 0 else None, delta.equal if delta else None))  # fmt: skip
    if rows:
        total = sum(load.manifest.rows for load in local)
        names = ("source", "stream", "source rows", "Parquet rows", "Delta rows", "seconds", "rows/s", "equal")
        show(f"{len(rows)} loads, {total:,} rows", names, rows, left=2)
    else:
        print("No manifests here: nothing was extracted, or everything is in Delta and pruned.")
    dead = {f"{load.source}/{load.manifest.stream}": load.manifest.dead_letters for load in local if load.manifest.dead_letters}
    for stream, count in dead.items():
        print(f"  {stream}: {count:,} records were put aside (dead letters)")
    if timings:
        try:
            steps = msgspec.json.decode(timings.read_bytes(), type=dict[str, float])
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f'--timings {timings}: {error}; expected JSON such as {{"extract": 12.5}}') from None
        show("Steps", ("step", "seconds"), list(steps.items()))
