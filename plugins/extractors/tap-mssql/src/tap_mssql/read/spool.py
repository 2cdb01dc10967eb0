"""The spool of a stream: a load's plan, its finished ranges and their parts, so that a later run can go on with it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from singer_arrow import documents, durable, names
from tap_mssql.errors import SpoolBusy
from tap_mssql.read.ranges import FinishedRange

VERSION = 2
PLAN, RANGE = ".plan.json", ".range-"


class SavedPlan(msgspec.Struct, kw_only=True):
    """What a load reads and how: a later run may use its ranges only where all of `identity` is the same.

    `identity`: see LoadPlan. `until`: the upper end of the load's window, which a later run takes over; None for none.
    """

    version: int = VERSION
    load_id: str
    started_at: str
    until: str | None
    identity: dict[str, Any]

    def differences(self, other: SavedPlan) -> list[str]:
        """What is not the same, in words."""
        words = [] if self.version == other.version else ["this program"]
        names = self.identity | other.identity
        return words + [name for name in names if self.identity.get(name) != other.identity.get(name)]


class Spool:
    """One stream's folder in the spool."""

    def __init__(self, root: Path, stream: str) -> None:
        self.folder = root / names.folder(stream)

    def unfinished(self) -> SavedPlan | None:
        """The newest plan that can be read, of a load that was not completed; None where there is none."""
        for path in sorted(self.folder.glob(f"*{PLAN}"), reverse=True):
            try:
                plan = msgspec.json.decode(path.read_bytes(), type=SavedPlan)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if not documents.document_path(self.folder, plan.load_id).exists():
                return plan
        return None

    def finished(self, load_id: str) -> list[FinishedRange]:
        """The finished ranges of a load whose parts are all there, with the size they had."""
        found = []
        for path in sorted(self.folder.glob(f"{load_id}{RANGE}*.json")):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=FinishedRange)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if all(_is_there(self.folder / f.path, f.bytes) for f in record.files):
                found.append(record)
        return found

    def begin(self, plan: SavedPlan) -> None:
        """Writes a plan, durably."""
        durable.write_bytes(self.folder / f"{plan.load_id}{PLAN}", msgspec.json.encode(plan))

    def finish(self, load_id: str, record: FinishedRange) -> None:
        """Writes a finished range, durably: from here on a later run can use it. Its parts are durable already."""
        path = self.folder / f"{load_id}{RANGE}{record.range.number}.json"
        durable.write_bytes(path, msgspec.json.encode(record))

    def clear(self, load_id: str | None = None, kept: Sequence[FinishedRange] = ()) -> None:
        """Removes everything of other loads, and of this one what is not of the ranges to keep."""
        wanted = {f"{load_id}{PLAN}"} if load_id else set()
        for record in kept:
            wanted |= {f"{load_id}{RANGE}{record.range.number}.json", *(f.path for f in record.files)}
        for path in self.folder.glob("*"):
            if path.is_file() and path.name not in wanted:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)


def is_fresh(plan: SavedPlan, hours: float) -> bool:
    """Whether a plan is young enough to go on with."""
    return datetime.now(UTC) - datetime.fromisoformat(plan.started_at) < timedelta(hours=hours)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keeps other taps out of the spool for as long as this process lives. Raises SpoolBusy."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolBusy(f"another tap-mssql reads into {root}", action="wait until it ends, and run again") from None
        yield


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
