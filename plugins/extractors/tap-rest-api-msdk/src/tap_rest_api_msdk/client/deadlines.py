"""Ends connections from the outside when their time is up; one thread watches all of them.

A time limit of a socket counts from each byte: a server that sends one byte a second would never meet it.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_changed = threading.Condition()
_due: dict[object, tuple[float, Any]] = {}  # what is under way: when it is due, in monotonic seconds, and its socket
_wakes = math.inf
_watcher: threading.Thread | None = None


@contextmanager
def until(due: float | None, sock: Any) -> Iterator[None]:
    """While the block runs, the socket is shut down at `due`, in monotonic seconds; whoever reads from it meets its end."""
    if due is None or sock is None:
        yield
        return
    this = object()
    with _changed:
        _due[this] = due, sock
        _watch_from(due)
    try:
        yield
    finally:
        with _changed:
            _due.pop(this, None)


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
