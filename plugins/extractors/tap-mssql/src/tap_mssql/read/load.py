"""One stream's load, from its request to its document."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from singer_arrow import names
from singer_arrow.documents import LoadDocument
from singer_arrow.errors import ArrowSingerError
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartLimits, PartWriter
from tap_mssql.errors import TapError
from tap_mssql.read.range_queue import RangeQueue
from tap_mssql.read.ranges import FinishedRange, Range
from tap_mssql.read.source import LoadPlan, LoadRequest
from tap_mssql.read.spool import Spool

PROGRAM = "tap-mssql"  # load ids hash it
UNKNOWN_ROWS = 100_000  # of a table without an estimate: it comes before small ones, after large ones


class Load:
    """What is asked for (`request`), how it is read (`plan`), how far it is (`ranges`), and how it ended.

    It ends with `document` or `error`. Readers share it; the scheduler alone changes `readers` and `is_over`.
    """

    def __init__(self, request: LoadRequest, spool: Spool, run_id: str) -> None:
        self.request = request
        self.spool = spool
        self.run_id = run_id
        self.ranges = RangeQueue()
        self.plan: LoadPlan | None = None
        self.load_id = ""
        self.started_at = ""  # UTC
        self.version = ""  # of the table, see Source.version
        self.notes: list[str] = []
        self.document: LoadDocument | None = None
        self.again: str | None = None  # the fingerprint of what the next load reads once more
        self.error: TapError | ArrowSingerError | None = None
        self.successor: LoadRequest | None = None  # what to read instead, when the table changed
        self.restarts = 0
        self.looks = 0  # rows that the source looked at for it in this run
        self.why_again = ""  # the note of a load that began again
        self.readers = 0  # that work on it
        self.is_over = False
        self.began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.request.stream

    @property
    def folder(self) -> Path:
        """Where the load's parts are."""
        return self.spool.folder

    @property
    def opened(self) -> LoadPlan:
        """The plan, once the load is open."""
        assert self.plan is not None
        return self.plan

    @property
    def is_halted(self) -> bool:
        """Whether readers should leave it: it has failed, or begins again."""
        return self.error is not None or self.successor is not None

    @property
    def has_work(self) -> bool:
        """Whether a reader could join: a range waits, or nobody has opened the load yet."""
        return not self.is_over and not self.is_halted and bool(self.ranges.waiting or (self.plan is None and not self.readers))

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left to read, and nobody reads."""
        return self.readers == 0 and (self.error is not None or (self.plan is not None and not self.ranges.waiting))

    @property
    def bytes_left(self) -> int:
        """Bytes still to read, as estimated: what takes longest begins first."""
        estimate = self.request.estimated_rows
        rows = max(estimate - self.ranges.assigned_rows, 0) if estimate else UNKNOWN_ROWS
        return rows * self.request.declared_row_bytes

    def begin(self, plan: LoadPlan) -> None:
        """Gives the load its plan, its id and its time."""
        started = datetime.now(UTC)
        self.plan, self.version, self.notes = plan, plan.version, []
        self.load_id, self.started_at = names.load_id(self.run_id, PROGRAM, self.stream, started), utc_text(started)
        if self.restarts:
            self.notes.append(self.why_again)

    def look(self, rows: int) -> None:
        """Says that the source looked at so many rows for the load."""
        with self._lock:
            self.looks += rows

    def finish(self, finished: FinishedRange) -> None:
        """Takes a range that was read and compared, and keeps it for a later run."""
        self.spool.finish(self.load_id, finished)
        self.ranges.finish(finished)

    def fail(self, error: TapError | ArrowSingerError) -> None:
        """Ends the load; the first error counts. Finished ranges stay in the spool."""
        with self._lock:
            self.error = self.error or error
            self.ranges.waiting.clear()

    def replace(self, successor: LoadRequest, why: str) -> None:
        """Lets the load begin again with the table as it is now, once its readers have left it; its notes say why."""
        with self._lock:
            self.successor, self.why_again = successor, why
            self.ranges.waiting.clear()

    def restart(self) -> None:
        """Begins again: nothing of what was read is used."""
        assert self.successor is not None
        self.request, self.successor, self.plan, self.is_over = self.successor, None, None, False
        self.ranges = RangeQueue()
        self.restarts += 1

    def writer(self, range_: Range, limits: PartLimits) -> PartWriter:
        """A writer for one range's parts."""
        plan = self.opened
        if range_.kind == "deletes":
            return PartWriter(self.folder, self.load_id, plan.key_schema, plan.source_types, [], False, limits, range_.number)
        key = list(plan.key_columns) if plan.is_in_key_order else []
        return PartWriter(
            self.folder,
            self.load_id,
            plan.schema,
            plan.source_types,
            key,
            bool(key),
            limits,
            range_.number,
            statistics=[plan.again.column] if plan.again else [],
        )
