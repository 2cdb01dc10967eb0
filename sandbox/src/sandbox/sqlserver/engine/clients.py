"""Who is connected: session ids, and KILL."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.system.server import Client


class Clients:
    """The connected clients by session id, each with a function that ends its connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spids = itertools.count(51)
        self._clients: dict[int, tuple[Client, Callable[[], None]]] = {}

    def enter(self, client: Client, end: Callable[[], None]) -> int:
        """Registers a client and returns its session id; `end` ends its connection, from another thread."""
        with self._lock:
            client.spid = next(self._spids)
            self._clients[client.spid] = (client, end)
            return client.spid

    def leave(self, spid: int) -> None:
        """The session has ended."""
        with self._lock:
            self._clients.pop(spid, None)

    def all(self) -> list[Client]:
        """Who is connected."""
        with self._lock:
            return [client for client, _ in self._clients.values()]

    def kill(self, spid: int, own: int) -> None:
        """KILL. Raises SqlError 6104 (its own session) or 6106 (no such session)."""
        if spid == own:
            raise SqlError(6104, "Cannot use KILL to kill your own process.")
        with self._lock:
            found = self._clients.get(spid)
        if found is None:
            raise SqlError(6106, f"Process ID {spid} is not an active process ID.")
        found[1]()
