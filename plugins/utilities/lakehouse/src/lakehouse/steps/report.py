"""`lakehouse report`: what a run moved, from the local manifests and the published document."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lakehouse.loads import StagedLoad
from lakehouse.steps.verify import equality
from lakehouse.terminal import show_table
from singer_arrow import names
from singer_arrow.documents import LoadResult, PublishedDocument

COLUMNS = ("source", "stream", "source rows", "Parquet rows", "Delta rows", "seconds", "rows/s", "equal")
COVERED = "in the ledger"  # applied, and compared then, or covered by a later load that was
ABSENT = "not in Delta"


def of_last_run(local: list[StagedLoad], known: PublishedDocument | None) -> list[StagedLoad]:
    """The loads of the newest run, and older ones that are not in Delta; files of older loads may be kept."""
    committed = set(known.committed) if known else set()
    return [load for load in local if load.manifest.run_id == local[-1].manifest.run_id or load.load_id not in committed]


def show_report(local: list[StagedLoad], known: PublishedDocument | None) -> None:
    """Rows per stream at the source, in Parquet and in Delta; seconds and rows/s of the extraction.

    Below it what whole tables hold where the load was a part of one.
    """
    results = {result.load_id: result for result in known.loads} if known else {}
    committed = set(known.committed) if known else set()
    rows = []
    for load in local:
        m = load.manifest
        seconds = (datetime.fromisoformat(m.ended_at) - datetime.fromisoformat(m.started_at)).total_seconds()
        speed = m.rows / seconds if seconds > 0 else None
        result = results.get(load.load_id)
        equal = equality(result) if result else COVERED if load.load_id in committed else ABSENT
        in_delta = result.delta_rows if result else None
        rows.append((m.source, m.stream, m.source_rows, m.rows, in_delta, seconds, speed, equal))
    if rows:
        show_table(f"{len(rows)} loads, {sum(load.manifest.rows for load in local):,} rows", COLUMNS, rows, left=2)
    else:
        print("No manifests here: nothing was extracted, or everything is in Delta and pruned.")
    for load in local:
        for line in put_aside(load):
            print(line)
        for line in whole_table(load, results.get(load.load_id)):
            print(line)


def put_aside(load: StagedLoad) -> Iterator[str]:
    """What of the source's rows is not in the load, and why; fields that nobody declared."""
    m, name = load.manifest, f"  {load.source}/{load.manifest.stream}"
    if m.dead_letters or m.left_out:
        counted = {"rows": m.rows, "dead letters": m.dead_letters, "left out (discard_row)": m.left_out}
        parts = " + ".join(f"{count:,} {what}" for what, count in counted.items() if count or what == "rows")
        source = "records of the tap" if m.source_rows is None else "source rows"
        yield f"{name}: {sum(counted.values()):,} {source} = {parts}"
    if m.dead_letters:
        yield f"{name}: the dead letters are in {load.source}/{names.dead_letters(load.load_id)} of the output folder"
    for each in m.drift:
        became = f"a column ({each.type})" if each.became == "column" and each.type else each.became
        yield f"{name}: the field {each.field} is not declared; in {each.records:,} records it is {became}"


def whole_table(load: StagedLoad, result: LoadResult | None) -> Iterator[str]:
    """What the table of an incremental load holds, and what the source says of it; nothing for a stream that was read whole."""
    m = load.manifest
    if m.mode == "overwrite" or result is None or result.table_rows is None:
        return
    held = f"  {m.source}/{m.stream}: the load has {m.rows:,} rows, the whole table {result.table_rows:,} in Delta"
    if m.table_rows is None:
        yield f"{held}; the source does not count its own"
    elif m.table_rows == result.table_rows:
        yield f"{held} and, by its own estimate, at the source"
    else:
        yield f"{held} and, by its own estimate, {m.table_rows:,} at the source: entrypoint.sh reconcile {m.stream} compares them"
