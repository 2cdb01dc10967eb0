"""Reading many streams at once: readers take the ranges of what has most left, until every load is complete or has failed."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar

from singer_arrow.errors import ArrowSingerError
from singer_arrow.facts import utc_text
from tap_mssql.config.settings import Settings
from tap_mssql.errors import Drifted, ReadFailed, Stopped, TapError
from tap_mssql.plan import statements
from tap_mssql.plan.opening import open_load
from tap_mssql.read import drift
from tap_mssql.read.limits import Crew, Memory, Pace
from tap_mssql.read.load import Load, Wanted
from tap_mssql.read.progress import Progress, progress
from tap_mssql.read.range_reader import KEPT, Reader
from tap_mssql.read.ranges import Range
from tap_mssql.server.discovery import Table
from tap_mssql.server.retry import DRIVER_ERRORS, retrying
from tap_mssql.server.session import Session

log = logging.getLogger("tap-mssql")
JOIN_SECONDS = 2.0  # that readers may take to end by themselves
RESTARTS = 3  # of a load whose table changes while it is read
ISOLATION = {
    "SNAPSHOT": "snapshot, one per range",
    "READ COMMITTED": "read committed: rows changed while a range was read may be seen before or after the change",
}
T = TypeVar("T")
Adapt = Callable[[Wanted, Table], Wanted]


class Engine:
    """Loads being read by `max_parallel` threads, each with a connection of its own.

    `adapt` gives what a stream asks for of a table that changed (on_schema_drift: evolve).
    """

    def __init__(self, settings: Settings, loads: Sequence[Load], isolation: str, adapt: Adapt) -> None:
        self.loads = list(loads)
        self._settings = settings
        self._isolation = isolation
        self._adapt = adapt
        self._changed = threading.Condition()
        self._ended: queue.SimpleQueue[Load] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._memory = Memory(settings.memory_mib << 20)
        self._crew = Crew(settings.max_parallel)
        self._working = 0
        self._pace = Pace(settings.max_rows_per_second, self._stopping)
        self._sessions = [Session(settings, isolation) for _ in range(settings.max_parallel)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Readers read while the block goes on; when it ends early, they stop."""
        threads = [threading.Thread(target=self._work, args=(s,), daemon=True, name="reader") for s in self._sessions]
        watch = threading.Thread(
            target=self._watch, args=(progress(self.loads, self._settings.progress_seconds),), daemon=True, name="watch"
        )
        for thread in [*threads, watch]:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._wake()
            for patience in (JOIN_SECONDS, None):
                for thread in [*threads, watch]:
                    thread.join(patience)
                # What still waits for the server has nothing to wait for any more.
                for session in self._sessions:
                    session.sever()

    def ended(self) -> Iterator[Load]:
        """The loads in the order in which they end: complete (`document`) or failed (`error`)."""
        for _ in self.loads:
            yield self._ended.get()

    def _watch(self, shown: Progress) -> None:
        """Cuts connections over which nothing comes any more, and tells how far reading is."""
        while not self._stopping.wait(0.5):
            for session in self._sessions:
                if session.is_silent():
                    log.warning("a connection has been silent for too long (idle_timeout): cut, its range is read again")
                    session.sever()
            with suppress(OSError):  # a terminal that has gone stops no reading
                shown.tell()
            if self._crew.grow(self._working):
                self._wake()
        with suppress(OSError):
            shown.close()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- readers -------------------------------------------------------------------------------------------------------

    def _work(self, session: Session) -> None:
        reader = Reader(session, self._settings, self._memory, self._pace, self._stopping)
        while task := self._take():
            load, range_ = task
            try:
                self._step(load, range_, session, reader)
            except Stopped:
                pass
            except Drifted as error:
                self._on_drift(load, error)
            except (TapError, ArrowSingerError) as error:
                load.fail(error)
            except OSError as error:
                load.fail(_of_the_disk(load, error))
            except Exception as error:
                log.exception("stream %s: a mistake of this program", load.stream)
                load.fail(ReadFailed(f"stream {load.stream}: {type(error).__name__}: {error}. {KEPT}; report this"))
            self._give_back(load, session)
        session.close()

    def _take(self) -> tuple[Load, Range | None] | None:
        """The next range of the load with most left, or a load to open; None when every load is over."""
        with self._changed:
            while True:
                if self._stopping.is_set() or all(load.is_over for load in self.loads):
                    return None
                ready = [
                    x
                    for x in self.loads
                    if not x.is_over and not x.is_halted and (x.waiting or (x.shape is None and not x.reading))
                ]
                if ready and self._working < self._crew.allowed:
                    load = max(ready, key=lambda each: each.left)
                    load.reading += 1
                    self._working += 1
                    return load, load.waiting.popleft() if load.waiting else None
                self._changed.wait()

    def _give_back(self, load: Load, session: Session) -> None:
        """One reader less on a load; the last one completes it, or begins it again."""
        with self._changed:
            load.reading -= 1
            self._working -= 1
            if load.reading == 0 and load.successor is not None and load.error is None:
                load.restart()
            ends = (
                load.reading == 0
                and not load.is_over
                and (load.error is not None or (load.shape is not None and not load.waiting))
            )
            load.is_over = ends or load.is_over
            self._changed.notify_all()
        if not ends or self._stopping.is_set():
            return
        if load.error is None:
            self._complete(load, session)
        if load.successor is not None and load.error is None:
            with self._changed:
                load.restart()
                load.is_over = False
                self._changed.notify_all()
            return
        load.seconds = time.monotonic() - load.began
        self._ended.put(load)
        self._wake()

    def _step(self, load: Load, range_: Range | None, session: Session, reader: Reader) -> None:
        if range_ is None:
            self._try(load, session, "opening", lambda: open_load(load, session, self._settings))
            return
        wanted = range_
        cut = self._try(load, session, str(wanted), lambda: reader.cut(load, wanted))
        self._wake()
        load.finish(self._try(load, session, str(cut), lambda: reader.read(load, cut)))

    def _complete(self, load: Load, session: Session) -> None:
        try:
            self._try(load, session, "the end", lambda: self._refuse_emptied(load, session))
            load.complete(ISOLATION[self._isolation], utc_text(datetime.now(UTC)))
        except Drifted as error:
            self._on_drift(load, error)
        except (TapError, ArrowSingerError) as error:
            load.fail(error)
        except OSError as error:
            load.fail(_of_the_disk(load, error))

    def _refuse_emptied(self, load: Load, session: Session) -> None:
        """A table that was emptied between two ranges would be staged by halves."""
        if len(load.finished) < 2 or load.opened.window or not any(f.rows for f in load.finished):
            return
        if session.one(statements.any_row(load.wanted.table)) is None:
            raise Drifted(load.stream, load.wanted.table, ["it was emptied"], load.wanted.table)

    def _on_drift(self, load: Load, error: Drifted) -> None:
        if self._settings.on_schema_drift == "fail" or error.now is None or load.restarts >= RESTARTS:
            load.fail(error)
            return
        log.warning("%s Beginning again with the table as it is now (on_schema_drift: evolve).", error.happened)
        try:
            load.replace(self._adapt(load.wanted, error.now))
        except (TapError, ArrowSingerError) as refused:
            load.fail(refused)

    def _try(self, load: Load, session: Session, what: str, action: Callable[[], T]) -> T:
        """An action on a session, tried again on a new connection where the error passes by itself."""
        try:
            for attempt in retrying(self._settings, f"stream {load.stream}, {what}", kept=KEPT, stopping=self._stopping):
                with attempt:
                    try:
                        return action()
                    except DRIVER_ERRORS:
                        session.close()
                        raise
        except ReadFailed:
            # A table that is gone or has other columns says so better than the statement that found no column.
            self._try_drift(load, session)
            raise
        raise Stopped(load.stream)

    def _try_drift(self, load: Load, session: Session) -> None:
        if self._stopping.is_set():
            return
        try:
            drift.refuse(session, load.stream, load.wanted.table)
        except DRIVER_ERRORS:
            session.close()


def _of_the_disk(load: Load, error: OSError) -> ReadFailed:
    what = error.strerror or error
    return ReadFailed(f"stream {load.stream}: {what}: {error.filename or ''}. {KEPT}; mend it, run again")
