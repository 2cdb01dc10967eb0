"""Notices that a client sends something, or leaves, while its statement runs: either way the statement should end."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class AttentionWatch:
    """Watches all connections from one thread, without reading from them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        # an empty selector would not wait
        self._idle = socket.socketpair()
        self._selector.register(self._idle[0], selectors.EVENT_READ, None)
        threading.Thread(target=self._run, daemon=True).start()

    @contextmanager
    def watching(self, sock: socket.socket, spoken: Callable[[], None]) -> Iterator[None]:
        """While the block runs, `spoken` is called (once, from the watching thread) when the client sends something."""
        with self._lock:
            self._selector.register(sock, selectors.EVENT_READ, spoken)
        try:
            yield
        finally:
            self._forget(sock)

    def _forget(self, sock: socket.socket) -> None:
        with self._lock, suppress(KeyError, ValueError):
            self._selector.unregister(sock)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is not None and isinstance(key.fileobj, socket.socket):
                    self._forget(key.fileobj)
                    key.data()
