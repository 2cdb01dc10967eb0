"""A reader's connection: opened when it is needed, given up when it breaks, cut from outside when it goes silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mssql_python
import pyarrow as pa

from tap_mssql.config.settings import Settings
from tap_mssql.server.connection import Connection, open_connection
from tap_mssql.server.retry import DRIVER_ERRORS

PATIENCE = 20  # idle_timeouts that a statement may take to its first row when it may scan a table
_connecting = threading.Lock()


class Session:
    """One reader's connection. Only the thread that reads uses it; another one may call `sever`."""

    def __init__(self, settings: Settings, isolation: str) -> None:
        self._settings = settings
        self._isolation = isolation
        self._connection: Connection | None = None
        self._sockets: dict[int, str] = {}
        self._silent_at: float | None = None

    @property
    def connection(self) -> Connection:
        """The open connection, at the run's isolation level. Raises what the driver raises."""
        if self._connection is None:
            # Sockets are told apart by what is open before and after: one connection at a time.
            with _connecting:
                before = _open_sockets()
                connection = open_connection(self._settings)
                self._sockets = {n: name for n, name in _open_sockets().items() if before.get(n) != name}
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL {self._isolation}").close()
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Gives the connection up, whatever state it is in."""
        connection, self._connection, self._sockets = self._connection, None, {}
        if connection is not None:
            with suppress(*DRIVER_ERRORS):
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One view of the database: a transaction under SNAPSHOT isolation, else statement by statement."""
        connection = self.connection
        if self._isolation != "SNAPSHOT":
            yield connection
            return
        connection.autocommit = False
        try:
            yield connection
            connection.commit()
        finally:
            if not connection.closed:
                connection.autocommit = True

    def one(self, sql: str, *, may_scan: bool = False) -> tuple[Any, ...] | None:
        """The first row of a statement's result. `may_scan`: it may scan a table. Raises what the driver raises."""
        connection = self.connection
        with self.awaiting_answer(may_scan), connection.execute(sql) as cursor:
            row = cursor.fetchone()
        if row is not None:
            return tuple(row)
        self.confirm()
        return None

    def exactly_one(self, sql: str, *, may_scan: bool = False) -> tuple[Any, ...]:
        """The row of a statement that always has one. Raises OperationalError for none, and what the driver raises."""
        row = self.one(sql, may_scan=may_scan)
        if row is None:
            raise mssql_python.OperationalError("Communication link failure", "a statement that has a row brought none")
        return row

    def confirm(self) -> None:
        """Raises what the driver raises when the link is cut.

        The driver takes a link that is cut between two rows for the end of the rows, and says nothing: no result that could
        be shorter than it should be is believed before the server has answered once more.
        """
        with self.awaiting_answer(), self.connection.execute("SELECT 1") as cursor:
            if cursor.fetchone() is None:
                raise mssql_python.OperationalError("Communication link failure", "the server does not answer any more")

    def batches(
        self, sql: str, then: str, rows: int, *, may_scan: bool = False
    ) -> Generator[pa.RecordBatch, None, tuple[Any, ...]]:
        """A statement's rows, at most so many at a time. Closing the iterator stops the statement at the server.

        Returns the row of `then`, a second statement of the same request. Raises OperationalError where that row does not come,
        and what the driver raises.
        """
        cursor = self.connection.cursor()
        try:
            with self.awaiting_answer(may_scan):
                cursor.execute(f"{sql}; {then}")
                batch = cursor.arrow_batch(rows)
            while batch.num_rows:
                yield batch
                with self.awaiting_answer():
                    batch = cursor.arrow_batch(rows)
            # A link that is cut between two rows ends them without a word (see `confirm`); this row then does not come.
            with self.awaiting_answer():
                row = cursor.fetchone() if cursor.nextset() else None
            if row is None:
                raise mssql_python.OperationalError("Communication link failure", "rows came without their number")
            return tuple(row)
        finally:
            with suppress(*DRIVER_ERRORS):
                cursor.close()

    @contextmanager
    def awaiting_answer(self, may_scan: bool = False) -> Iterator[None]:
        """While the server's answer is waited for: a statement that may scan a table is given much longer."""
        self._silent_at = time.monotonic() + self._settings.idle_timeout * (PATIENCE if may_scan else 1)
        try:
            yield
        finally:
            self._silent_at = None

    def is_silent(self) -> bool:
        """Whether an answer has been waited for longer than a link that works would take."""
        at = self._silent_at
        return at is not None and time.monotonic() > at

    def sever(self) -> None:
        """Ends the connection's sockets: what waits for an answer fails at once, as on a broken link.

        The driver's own cancel waits for the server to confirm it, which over a dead link never comes.
        """
        for number, name in self._sockets.items():
            if _open_sockets().get(number) == name:
                end = socket.socket(fileno=number)
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.detach()


def _open_sockets() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = str(entry.readlink())
            if name.startswith("socket:"):
                found[int(entry.name)] = name
    return found
