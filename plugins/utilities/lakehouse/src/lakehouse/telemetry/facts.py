"""What is known of a run when it ends: its steps, its loads, and what its programs noted (singer_arrow.noted)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from lakehouse.errors import UploadError
from lakehouse.loads import StagedLoad, parse
from lakehouse.run_report.document import RunStep
from singer_arrow import names
from singer_arrow.documents import DONE, LoadResult


class Span(msgspec.Struct, frozen=True, tag="span", tag_field="kind", kw_only=True):
    """Something that took its time, in seconds since 1970, as part of a stream or a step. `error`: class of what it raised."""

    name: str
    step: str | None
    stream: str | None
    load: str | None
    began: float
    ended: float
    error: str
    attributes: dict[str, Any]


class Dataset(msgspec.Struct, frozen=True, tag="dataset", tag_field="kind", kw_only=True):
    """What a stream is at its source."""

    stream: str
    load: str | None
    namespace: str
    name: str


class Converted(msgspec.Struct, frozen=True, tag="converted", tag_field="kind", kw_only=True):
    """What the conversion job made of a load, from when to when, in seconds since 1970."""

    result: LoadResult
    manifest: str
    began: float
    ended: float


Note = Span | Dataset | Converted


def notes(file: Path) -> Iterator[Note]:
    """The notes of a run, one after the other; a line that is none is passed over."""
    decoder = msgspec.json.Decoder(Note)
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError:
                continue


class RunLoad(Struct, frozen=True):
    """A load that a run read (`is_read`) or converted; `dataset` is known of what it read."""

    load: StagedLoad
    is_read: bool
    dataset: Dataset | None
    converted: Converted | None

    @property
    def name(self) -> str:
        """`source/stream`."""
        return f"{self.load.source}/{self.load.manifest.stream}"

    @property
    def problem(self) -> str:
        """Why it is not in Delta though it was converted; empty where it is, or was not."""
        result = self.converted.result if self.converted else None
        if result is None or (result.status in DONE and result.equal is not False):
            return ""
        return "; ".join([result.status, *result.problems])


class Read(NamedTuple):
    """When a stream was read that no load came of: it has failed, or nothing of it had changed. Seconds since 1970."""

    began: float
    ended: float
    has_failed: bool


class RunFacts(Struct, frozen=True):
    """One run. Times are seconds since 1970; `failures` are what was said of what failed, without secrets."""

    run_id: str
    target: str
    code: int
    began: float
    ended: float
    steps: list[RunStep]
    loads: list[RunLoad]
    failures: list[str]
    noted: Path
    without_load: dict[str, Read] = field(default_factory=dict)  # by stream

    def spans(self) -> Iterator[Span]:
        """What took its time below steps and streams; read again each time, since it may be much."""
        return (note for note in notes(self.noted) if isinstance(note, Span))

    def step_at(self, moment: float, name: str | None = None) -> int | None:
        """The number of the step, of that name if one is given, that was under way."""
        fits = [number for number, step in enumerate(self.steps) if name in (None, step.step)]
        return next((number for number in reversed(fits) if seconds_of(self.steps[number].started_at) <= moment + 0.001), None)


def run_loads(run_id: str, local: Iterable[StagedLoad], noted: Path) -> tuple[list[RunLoad], dict[str, Read]]:
    """The loads that a run read or converted, oldest first; and streams that it read without one."""
    datasets: dict[str, Dataset] = {}
    converted: dict[str, Converted] = {}
    seen: dict[str, Read] = {}
    for note in notes(noted):
        if isinstance(note, Dataset):
            datasets[note.load or note.stream] = note
        elif isinstance(note, Converted):
            converted[note.result.load_id] = note
        elif note.stream:
            began, ended, _ = seen.get(note.stream, (note.began, note.ended, True))
            seen[note.stream] = Read(min(began, note.began), max(ended, note.ended), True)
    staged = {load.load_id: load for load in local if load.manifest.run_id == run_id}
    for load_id, told in converted.items():
        if load_id not in staged and (load := _parsed(told)):
            staged[load_id] = load
    loads = []
    for load_id, load in staged.items():
        dataset = datasets.get(load_id) or datasets.get(load.manifest.stream)
        is_read = load.manifest.run_id == run_id
        loads.append(RunLoad(load, is_read, dataset if is_read else None, converted.get(load_id)))
    loads.sort(key=lambda each: (each.load.manifest.started_at, each.load.load_id))
    loaded, complete = {each.load.manifest.stream for each in loads if each.is_read}, {each.stream for each in datasets.values()}
    others = {stream: read for stream, read in seen.items() if stream not in loaded}
    return loads, {stream: read._replace(has_failed=stream not in complete) for stream, read in others.items()}


def _parsed(note: Converted) -> StagedLoad | None:
    result = note.result
    try:
        return parse(result.source, names.manifest(result.load_id), note.manifest.encode())
    except UploadError:
        return None


def seconds_of(moment: str) -> float:
    """UtcText as seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
