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
from tap_mssql.read.ranges import Finished

VERSION = 1
PLAN, RANGE = ".plan.json", ".range-"


class Plan(msgspec.Struct, kw_only=True):
    """What a load reads and how: two runs may share its ranges only where all of this is the same.

    `columns` are names with declared types, collations and the SQL that selects them, in order; `key` and `order` column names.
    """

    version: int = VERSION
    load_id: str
    started_at: str
    object_id: int
    columns: list[list[str]]
    key: list[str]
    order: list[str]
    mode: str
    window: dict[str, Any] | None

    def differences(self, other: Plan) -> list[str]:
        """What is not the same, in words."""
        words = {
            "version": "this program",
            "object_id": "the table",
            "columns": "its columns or their selection",
            "key": "its key",
        }
        words |= {"order": "the order it is read in", "mode": "the load's mode", "window": "the replication key's window"}
        return [text for name, text in words.items() if getattr(self, name) != getattr(other, name)]


class Spool:
    """One stream's folder in the spool."""

    def __init__(self, root: Path, stream: str) -> None:
        self.folder = root / names.folder(stream)

    def unfinished(self) -> Plan | None:
        """The newest plan that can be read, of a load that was not completed; None where there is none."""
        for path in sorted(self.folder.glob(f"*{PLAN}"), reverse=True):
            try:
                plan = msgspec.json.decode(path.read_bytes(), type=Plan)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if not documents.document_path(self.folder, plan.load_id).exists():
                return plan
        return None

    def finished(self, load_id: str) -> list[Finished]:
        """The finished ranges of a load whose parts are all there, with the size they had."""
        found = []
        for path in sorted(self.folder.glob(f"{load_id}{RANGE}*.json")):
            try:
                record = msgspec.json.decode(path.read_bytes(), type=Finished)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if all(_is_there(self.folder / f.path, f.bytes) for f in record.files):
                found.append(record)
        return found

    def begin(self, plan: Plan) -> None:
        """Writes a plan, durably."""
        durable.write_bytes(self.folder / f"{plan.load_id}{PLAN}", msgspec.json.encode(plan))

    def finish(self, load_id: str, record: Finished) -> None:
        """Writes a finished range, durably: from here on a later run can use it. Its parts are durable already."""
        path = self.folder / f"{load_id}{RANGE}{record.range.number}.json"
        durable.write_bytes(path, msgspec.json.encode(record))

    def clear(self, load_id: str | None = None, kept: Sequence[Finished] = ()) -> None:
        """Removes everything of other loads, and of this one what is not of the ranges to keep."""
        wanted = {f"{load_id}{PLAN}"} if load_id else set()
        for record in kept:
            wanted |= {f"{load_id}{RANGE}{record.range.number}.json", *(f.path for f in record.files)}
        for path in self.folder.glob("*"):
            if path.is_file() and path.name not in wanted:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def drop(self, load_id: str, record: Finished) -> None:
        """Removes a range that must be read again: its record first, so that none names parts that are gone."""
        (self.folder / f"{load_id}{RANGE}{record.range.number}.json").unlink(missing_ok=True)
        for part in record.files:
            (self.folder / part.path).unlink(missing_ok=True)


def is_fresh(plan: Plan, hours: float) -> bool:
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
            raise SpoolBusy(f"another tap-mssql reads into {root}; wait until it ends") from None
        yield


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
