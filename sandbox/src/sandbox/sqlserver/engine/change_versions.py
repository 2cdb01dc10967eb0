"""Versions of change tracking: one for each transaction that changed tracked rows, in the order of their commits."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


class ChangeVersions:
    """Gives transactions their ids, and their versions when they commit: one commit at a time."""

    def __init__(self) -> None:
        self._ids = itertools.count(time.time_ns())
        self._committing = threading.Lock()

    def transaction(self) -> int:
        """An id for a transaction; its changes bear it before it has a version."""
        return next(self._ids)

    @contextmanager
    def giving(self, main: duckdb.DuckDBPyConnection, cursor: duckdb.DuckDBPyConnection, txn: int, at: float) -> Iterator[None]:
        """Held while the transaction of a cursor commits; its version is the next one. `main` sees what is committed."""
        with self._committing:
            found = main.cursor().execute("SELECT coalesce(max(version), 0) + 1 FROM mssys.change_commits").fetchone()
            cursor.execute("INSERT INTO mssys.change_commits VALUES (?, ?, ?)", [txn, found[0] if found else 1, at])
            yield
