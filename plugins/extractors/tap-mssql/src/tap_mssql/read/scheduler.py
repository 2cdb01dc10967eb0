"""Reading many streams at once: readers take the ranges of what has most left, until every load is complete or has failed."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from singer_arrow.errors import ArrowSingerError
from tap_mssql.errors import Drifted, ReadFailed, Stopped, TapError
from tap_mssql.read import load_proof
from tap_mssql.read.limits import MemoryLimit, ReaderLimit, ReadLimits, RowRate
from tap_mssql.read.load import Load
from tap_mssql.read.progress import Progress, progress
from tap_mssql.read.range_reader import RangeReader
from tap_mssql.read.ranges import Range
from tap_mssql.read.resume import open_load
from tap_mssql.read.source import Source

log = logging.getLogger("tap-mssql")
JOIN_SECONDS = 2.0  # that readers may take to end by themselves


class Scheduler:
    """Loads being read by one thread for each source."""

    def __init__(self, loads: Sequence[Load], sources: Sequence[Source], limits: ReadLimits) -> None:
        self.loads = list(loads)
        self._sources = list(sources)
        self._limits = limits
        self._changed = threading.Condition()
        self._ended: queue.SimpleQueue[Load] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._memory = MemoryLimit(limits.memory_bytes)
        self._readers = ReaderLimit(len(self._sources))
        self._working = 0
        self._rate = RowRate(limits.rows_per_second, self._stopping)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Readers read while the block goes on; when it ends early, they stop."""
        threads = [threading.Thread(target=self._work, args=(s,), daemon=True, name="reader") for s in self._sources]
        shown = progress(self.loads, self._limits.progress_seconds)
        threads.append(threading.Thread(target=self._watch, args=(shown,), daemon=True, name="watch"))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._wake()
            for patience in (JOIN_SECONDS, None):
                for thread in threads:
                    thread.join(patience)
                # What still waits for the server has nothing to wait for any more.
                for source in self._sources:
                    source.sever()

    def ended(self) -> Iterator[Load]:
        """The loads in the order in which they end: complete (`document`) or failed (`error`)."""
        for _ in self.loads:
            yield self._ended.get()

    def _watch(self, shown: Progress) -> None:
        """Cuts connections over which nothing comes any more, and shows how far reading is."""
        while not self._stopping.wait(0.5):
            for source in self._sources:
                if source.is_silent():
                    log.warning("a connection was silent for too long (idle_timeout): it is cut, and its range read again")
                    source.sever()
            with suppress(OSError):  # a terminal that has gone stops no reading
                shown.show()
            if self._readers.grow(self._working):
                self._wake()
        with suppress(OSError):
            shown.close()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- readers -------------------------------------------------------------------------------------------------------

    def _work(self, source: Source) -> None:
        reader = RangeReader(source, self._limits, self._memory, self._rate, self._stopping, self._is_awaited, self._wake)
        while task := self._take():
            load, range_ = task
            with self._ending(load):
                if range_ is None:
                    self._open(load, source)
                else:
                    reader.read(load, range_)
            self._give_back(load, source)
        source.close()

    def _is_awaited(self) -> bool:
        """Whether a reader waits for a range."""
        return self._working < self._readers.allowed and not any(load.has_work for load in self.loads)

    def _open(self, load: Load, source: Source) -> None:
        source.retry(load.request, "opening", lambda: open_load(load, source, self._limits.resume_hours), self._stopping)

    def _take(self) -> tuple[Load, Range | None] | None:
        """The next range of the load with most left, or a load to open; None when every load is over."""
        with self._changed:
            while True:
                if self._stopping.is_set() or all(load.is_over for load in self.loads):
                    return None
                ready = [load for load in self.loads if load.has_work]
                if ready and self._working < self._readers.allowed:
                    load = max(ready, key=lambda each: each.bytes_left)
                    load.readers += 1
                    self._working += 1
                    return load, load.ranges.waiting.popleft() if load.ranges.waiting else None
                self._changed.wait()

    def _give_back(self, load: Load, source: Source) -> None:
        """One reader less on a load; the last one completes it, or begins it again."""
        with self._changed:
            load.readers -= 1
            self._working -= 1
            self._restart_if_replaced(load)
            ends = not load.is_over and load.is_exhausted
            load.is_over = ends or load.is_over
            self._changed.notify_all()
        if not ends or self._stopping.is_set():
            return
        if load.error is None:
            self._complete(load, source)
        with self._changed:
            is_over = not self._restart_if_replaced(load)
            self._changed.notify_all()
        if is_over and not self._stopping.is_set():
            self._ended.put(load)

    def _restart_if_replaced(self, load: Load) -> bool:
        if load.readers or load.successor is None or load.error is not None:
            return False
        load.restart()
        return True

    def _complete(self, load: Load, source: Source) -> None:
        """Where there was nothing to read there is no load, and no document."""
        with self._ending(load):
            if load.opened.is_idle:
                load.spool.clear()
                return
            table_rows = source.retry(load.request, "the end", lambda: load_proof.at_the_end(load, source), self._stopping)
            load_proof.complete(load, source.isolation, table_rows)

    # --- what ends a load ----------------------------------------------------------------------------------------------

    @contextmanager
    def _ending(self, load: Load) -> Iterator[None]:
        """What the block raises ends the load, or begins it again; nothing of it gets out."""
        try:
            yield
        except Stopped:
            pass
        except Drifted as error:
            self._on_drift(load, error)
        except (TapError, ArrowSingerError) as error:
            load.fail(error)
        except OSError as error:
            what = f"stream {load.stream}: {error.filename or 'the disk'}: {error.strerror or error}"
            load.fail(ReadFailed(what, action="solve the problem with this folder or disk, and run again"))
        except Exception as error:
            log.exception("stream %s: a bug of this program", load.stream)
            what = f"stream {load.stream}: {type(error).__name__}: {error}"
            load.fail(ReadFailed(what, action="report this as a bug, with the lines above"))

    def _on_drift(self, load: Load, error: Drifted) -> None:
        most = max(self._limits.restarts, int(error.is_same_shape))
        if load.restarts >= most or error.successor is None:
            load.fail(error)
            return
        how = "and reads it whole" if error.is_same_shape else "with the table as it is now (on_schema_drift: evolve)"
        log.warning("%s. The load begins again %s.", error.what, how)
        try:
            load.replace(error.successor(), f"{error.what}: the load began again {how}")
        except (TapError, ArrowSingerError) as refused:
            load.fail(refused)
