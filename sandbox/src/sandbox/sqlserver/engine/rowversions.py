"""Rowversions: which ones have been given out, and which are not committed yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


class Rowversions:
    """The database's counter, a DuckDB sequence, and per session the lowest one that is not committed."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        # of a file that was just opened DuckDB tells the next value as the last, until it has given one out
        cursor.execute("SELECT nextval('mssys.rowversions')").fetchall()
        self._giving = threading.Lock()
        self._lock = threading.Lock()
        self._active: dict[int, int] = {}  # by session

    def last(self) -> int:
        """The last one given out."""
        sql = "SELECT last_value FROM duckdb_sequences() WHERE sequence_name = 'rowversions'"
        found = self._cursor.cursor().execute(sql).fetchone()
        assert found is not None
        return int(found[0])

    def min_active(self) -> int:
        """The lowest one that is not committed yet, else the next one."""
        with self._lock:
            active = list(self._active.values())
        return min(active, default=self.last() + 1)

    @contextmanager
    def giving(self, spid: int) -> Iterator[None]:
        """Held while a statement gives some out; the first of them counts as active until `settle`."""
        with self._giving:
            first = self.last() + 1
            mine = spid not in self._active
            if mine:
                with self._lock:
                    self._active[spid] = first
            yield
            if mine and self.last() < first:
                with self._lock:
                    self._active.pop(spid, None)

    def settle(self, spid: int) -> None:
        """The session's transaction has ended."""
        with self._lock:
            self._active.pop(spid, None)
