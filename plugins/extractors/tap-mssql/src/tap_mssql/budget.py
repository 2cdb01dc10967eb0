"""What all readers together may take: memory at once, rows per second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Memory:
    """A number of bytes that readers hold in turns; one that needs more than there is reads alone."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, wanted: int) -> Iterator[None]:
        """Waits until so many bytes are free, and holds them meanwhile."""
        wanted = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._held + wanted <= self._total)
            self._held += wanted
        try:
            yield
        finally:
            with self._changed:
                self._held -= wanted
                self._changed.notify_all()


class Pace:
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
