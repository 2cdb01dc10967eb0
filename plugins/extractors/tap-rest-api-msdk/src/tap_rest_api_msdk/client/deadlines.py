"""Ends connections from the outside when their time is up; one thread watches all of them.

A time limit of a socket counts from each byte: a server that sends one byte a second would never meet it.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress
from typing import Any

_changed = threading.Condition()
_due: dict[object, tuple[float, Any]] = {}  # what is under way: when it is due, in monotonic seconds, and its socket
_wakes = math.inf
_watcher: threading.Thread | None = None


class Until:
    """While the block runs, the socket is shut down at `due`, in monotonic seconds; whoever reads from it meets its end."""

    def __init__(self, due: float | None, sock: Any) -> None:
        self._due, self._sock = due, sock

    def __enter__(self) -> None:
        if self._due is not None and self._sock is not None:
            with _changed:
                _due[self] = self._due, self._sock
                _watch_from(self._due)

    def __exit__(self, *_: object) -> None:
        with _changed:
            _due.pop(self, None)


def _watch_from(due: float) -> None:
    global _watcher
    if _watcher is None:
        _watcher = threading.Thread(target=_watch, name="deadlines", daemon=True)
        _watcher.start()
    elif due < _wakes:
        _changed.notify()


def _watch() -> None:
    global _wakes
    with _changed:
        while True:
            now = time.monotonic()
            for this, (due, sock) in list(_due.items()):
                if due <= now:
                    del _due[this]
                    with suppress(OSError):  # it may have ended by itself
                        sock.shutdown(socket.SHUT_RDWR)
            _wakes = min((due for due, _ in _due.values()), default=math.inf)
            _changed.wait(None if _wakes == math.inf else _wakes - now)
