"""`lakehouse status`: what the last runs did, how old each stream's data is, and what is not in Delta."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from lakehouse.published import documents
from lakehouse.stages.base import Stage
from lakehouse.steps.states import LoadState
from singer_arrow.bookmarks import position
from singer_arrow.documents import DONE, LoadResult, PublishedDocument


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of the conversion job did: loads that it applied, with their rows, and loads that are not in Delta after it."""

    at: str
    applied: int
    rows: int
    not_applied: int


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The newest load of a stream in Delta: when it began to be read (UTC), how long ago, and the bookmark it left."""

    source: str
    stream: str
    table: str
    load_id: str
    read_at: str
    age_seconds: int
    rows: int
    table_rows: int | None
    bookmark: Any


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `loads` are those that are not in Delta."""

    target: str
    runs: list[JobRun]
    streams: list[StreamStatus]
    loads: list[LoadState]


def status_of(stage: Stage, target: str, loads: Iterable[LoadState], now: datetime | None = None) -> Status:
    """What is published of a target. Raises ConvertError where that cannot be read."""
    told: dict[str, PublishedDocument] = {}
    for document in documents(stage, target):
        told.setdefault(document.order, document)  # the newest of each order
    newest = next(iter(told.values()), None)
    streams = _streams(newest, now or datetime.now(UTC)) if newest else []
    waiting = [load for load in loads if load.settle]
    return Status(target=target, runs=[_run(each) for each in told.values()], streams=streams, loads=waiting)


def _run(document: PublishedDocument) -> JobRun:
    applied = [load for load in document.loads if load.status == "applied"]
    missing = sum(load.status not in DONE for load in document.loads)
    rows = sum(load.rows for load in applied)
    return JobRun(at=document.published_at, applied=len(applied), rows=rows, not_applied=missing)


def _streams(document: PublishedDocument, now: datetime) -> list[StreamStatus]:
    newest: dict[tuple[str, str], LoadResult] = {}
    for load in sorted(document.loads, key=lambda load: load.load_id):
        if load.status in ("applied", "already"):
            newest[load.source, load.stream] = load
    found = []
    for (source, stream), load in sorted(newest.items()):
        read_at = datetime.strptime(load.load_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        found.append(
            StreamStatus(
                source=source,
                stream=stream,
                table=load.table,
                load_id=load.load_id,
                read_at=read_at.isoformat(),
                age_seconds=int((now - read_at).total_seconds()),
                rows=load.rows,
                table_rows=load.table_rows,
                bookmark=position((document.bookmarks.get(source) or {}).get(stream, {})),
            )
        )
    return found


def in_words(seconds: int) -> str:
    """`3 d 4 h`, `4 h 5 min`, `5 min`, `40 s`: two units at most."""
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count and not (parts and unit == "s"):
            parts.append(f"{count} {unit}")
        if len(parts) == 2 or (parts and not count):
            break
    return " ".join(parts) or "0 s"
