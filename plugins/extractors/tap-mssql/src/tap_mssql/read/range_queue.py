"""The ranges of one load: which wait for a reader, which are being read, which are finished."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from tap_mssql.read.ranges import Bound, FinishedRange, Place, Range


class RangeQueue:
    """Readers share it."""

    def __init__(self, ranges: Sequence[Range] = (), finished: Sequence[FinishedRange] = ()) -> None:
        self.waiting = deque(ranges)
        self.finished = list(finished)
        self.finished_bytes = sum(part.bytes for each in finished for part in each.files)
        self.next_rows = 0  # rows that the next range should have; 0 until one was read
        self.assigned_rows = sum(each.rows for each in finished)  # of ranges that are finished or were given to a reader
        self._places: set[Place] = {r.place for r in ranges} | {each.range.place for each in finished}
        self._rows_in_work: dict[Place, int] = {}
        self._lock = threading.Lock()

    @property
    def rows(self) -> int:
        """Rows read so far."""
        with self._lock:
            return sum(each.rows for each in self.finished) + sum(self._rows_in_work.values())

    def cut(self, range_: Range, bound: Bound, rows: int) -> Range:
        """Cuts a range that is being read; what is left of it waits for a reader. Returns the first part."""
        with self._lock:
            rest = range_.beyond(bound, self._places)
            self._places.add(rest.place)
            self.waiting.append(rest)
            self.assigned_rows += rows
        return range_.up_to(bound)

    def set_rows(self, range_: Range, rows: int) -> None:
        """Says how many rows of a range were read so far."""
        with self._lock:
            self._rows_in_work[range_.place] = rows

    def finish(self, finished: FinishedRange) -> None:
        """Takes a range that was read and compared."""
        with self._lock:
            self._rows_in_work.pop(finished.range.place, None)
            self.finished.append(finished)
            self.finished_bytes += sum(part.bytes for part in finished.files)
