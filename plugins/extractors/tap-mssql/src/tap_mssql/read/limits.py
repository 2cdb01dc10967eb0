"""What all readers together may take: memory at once, rows per second, the machine's processors."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct


class ReadLimits(Struct, frozen=True, kw_only=True):
    """What reading is held to. 0 in `rows_per_second` has no limit, in `resume_hours` and `restarts` allows none.

    `restarts`: how often a load begins again when its table changes while it is read.
    """

    readers: int = 4
    memory_bytes: int = 96 << 20
    query_seconds: float = 10.0
    rows_per_second: int = 0
    range_rows: int = 1_000_000
    part_rows: int = 1_000_000
    batch_rows: int = 65_536
    resume_hours: float = 24.0
    restarts: int = 0
    progress_seconds: float = 5.0

    @property
    def reader_bytes(self) -> int:
        """One reader's share of the memory."""
        return self.memory_bytes // self.readers


class MemoryLimit:
    """A number of bytes that readers hold in turns; one that needs more than there is reads alone."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Waits until so many bytes are free, and holds them meanwhile."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._held + size <= self._total)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()


class RowRate:
    """Rows per second over all readers; 0 for no limit."""

    def __init__(self, rows_per_second: int, stopping: threading.Event) -> None:
        self._seconds_per_row = 1 / rows_per_second if rows_per_second else 0.0
        self._stopping = stopping
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def wait(self, rows: int) -> None:
        """Books so many rows, and waits until their turn has come."""
        if not self._seconds_per_row:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._free_at, now)
            self._free_at = turn + rows * self._seconds_per_row
        self._stopping.wait(max(0.0, turn - now))

    def give_back(self, rows: int) -> None:
        """Of what was booked, rows that did not come; a negative number books more."""
        with self._lock:
            self._free_at -= rows * self._seconds_per_row


class ReaderLimit:
    """How many readers may work at once: one, and one more each time that the machine idles though all of them work.

    A reader that waits for the network, or for a server elsewhere, leaves a processor to another one. Where none is idle, more
    readers would only take memory and each other's caches.
    """

    IDLE = 0.4  # of all processors' time; a server on the same machine, busy with one reader, leaves less
    TICKS = 50  # of each processor, 10 ms long: how long to look before one more joins

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = 1
        self._before = _processor_time()

    def grow(self, working: int) -> bool:
        """Allows one reader more where the machine idled though all that may work do; whether it did."""
        now = _processor_time()
        idle, total = now[0] - self._before[0], now[1] - self._before[1]
        if working < self.allowed:
            self._before = now
            return False
        if total < self.TICKS * len(os.sched_getaffinity(0)):
            return False
        self._before = now
        if self.allowed >= self.most or idle <= self.IDLE * total:
            return False
        self.allowed += 1
        return True


def _processor_time() -> tuple[int, int]:
    """Ticks since the machine started: idle ones, and all (proc(5), /proc/stat)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)
