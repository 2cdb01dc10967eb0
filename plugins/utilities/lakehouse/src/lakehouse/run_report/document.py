"""The run report as data (docs/contracts.md, Run report). Nothing is measured for it: manifests and published document say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from lakehouse.loads import StagedLoad
from singer_arrow.documents import (
    DONE,
    VERSION,
    Count,
    Drift,
    LoadId,
    LoadResult,
    Mode,
    PublishedDocument,
    SourceRows,
    UtcText,
    Version,
)

STAGED = "staged"  # the status of a load that nothing is published about
Seconds = Annotated[float, Meta(ge=0)]


class RunStep(msgspec.Struct, kw_only=True, frozen=True):
    """A step of the run."""

    step: str
    started_at: UtcText
    seconds: Seconds


class RunStream(msgspec.Struct, kw_only=True, frozen=True):
    """A load of the run, or an older one that is not in Delta: what was read, and what became of it."""

    source: str
    stream: str
    table: str
    load_id: LoadId
    mode: Mode
    status: Annotated[str, Meta(description="of the published document; `staged`: nothing is published about it")]
    equal: Annotated[bool | None, Meta(description="whether all figures are equal; null where they were not compared")]
    rows: Count
    source_rows: SourceRows
    delta_rows: Annotated[int | None, Meta(description="rows of Delta that the load answers for")]
    table_rows: Annotated[int | None, Meta(description="rows of the whole table in Delta; null where not counted")]
    facts: Annotated[int, Meta(ge=0, description="figures of columns that are compared besides the rows")]
    bytes: Count
    files: Count
    started_at: UtcText
    seconds: Annotated[Seconds, Meta(description="of reading; of a load that was resumed, since it was begun")]
    dead_letters: Count
    left_out: Count
    deletes: Count
    drift: list[Drift]
    notes: list[str]
    problems: list[str]
    action: str

    @property
    def is_done(self) -> bool:
        """Whether it is in Delta, or needless there."""
        return self.status in DONE and self.equal is not False


class RunReport(msgspec.Struct, kw_only=True, frozen=True):
    """One run."""

    version: Version = VERSION
    run_id: str
    target: str
    started_at: UtcText
    seconds: Seconds
    complete: Annotated[bool, Meta(description="everything was read, is in Delta, and is equal")]
    rows: Count
    bytes: Count
    steps: list[RunStep]
    streams: list[RunStream]
    unread: Annotated[list[str], Meta(description="what was not read and why, as the taps said it, line by line")]


def text_of(moment: datetime) -> str:
    """A moment as UtcText."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def steps_of(lines: Iterable[str], now: datetime) -> list[RunStep]:
    """What entrypoint.sh notes: `began STEP SECONDS` and `ended STEP SECONDS`, since 1970; what has not ended goes on `now`."""
    steps: list[tuple[str, float, float]] = []
    for line in lines:
        what, step, at = line.split()
        if what == "began":
            steps.append((step, float(at), now.timestamp()))
        else:
            steps[-1] = (step, steps[-1][1], float(at))
    began = [(step, datetime.fromtimestamp(start, UTC), max(end - start, 0.0)) for step, start, end in steps]
    return [RunStep(step=step, started_at=text_of(start), seconds=round(seconds, 3)) for step, start, seconds in began]


def report_of(
    run_id: str,
    target: str,
    loads: Sequence[StagedLoad],
    known: PublishedDocument | None,
    steps: list[RunStep],
    unread: list[str],
) -> RunReport:
    """The report of a run whose steps are known; there is one at least."""
    results = {result.load_id: result for result in known.loads} if known else {}
    committed = set(known.committed) if known else set()
    streams = [stream_of(load, results.get(load.load_id), load.load_id in committed) for load in loads]
    end = datetime.fromisoformat(steps[-1].started_at).timestamp() + steps[-1].seconds
    return RunReport(
        run_id=run_id,
        target=target,
        started_at=steps[0].started_at,
        seconds=round(end - datetime.fromisoformat(steps[0].started_at).timestamp(), 3),
        complete=not unread and all(stream.is_done for stream in streams),
        rows=sum(stream.rows for stream in streams),
        bytes=sum(stream.bytes for stream in streams),
        steps=steps,
        streams=streams,
        unread=unread,
    )


def stream_of(load: StagedLoad, result: LoadResult | None, is_committed: bool) -> RunStream:
    """A load and what is published about it."""
    m = load.manifest
    seconds = (datetime.fromisoformat(m.ended_at) - datetime.fromisoformat(m.started_at)).total_seconds()
    facts = sum(value is not None for each in m.columns.values() for value in msgspec.structs.astuple(each))
    return RunStream(
        source=m.source,
        stream=m.stream,
        table=m.table,
        load_id=m.load_id,
        mode=m.mode,
        status=result.status if result else "already" if is_committed else STAGED,
        equal=result.equal if result else None,
        rows=m.rows,
        source_rows=m.source_rows,
        delta_rows=result.delta_rows if result else None,
        table_rows=(result.delta_rows if m.mode == "overwrite" else result.table_rows) if result else None,
        facts=facts,
        bytes=sum(file.bytes for file in m.files),
        files=len(m.files),
        started_at=m.started_at,
        seconds=max(seconds, 0.0),
        dead_letters=m.dead_letters,
        left_out=m.left_out,
        deletes=m.deletes,
        drift=m.drift,
        notes=m.notes,
        problems=list(result.problems) if result else [],
        action=result.action if result else "",
    )
