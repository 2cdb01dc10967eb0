"""A TCP proxy that breaks connections after a given number of bytes, so that tests do not depend on timing."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Break:
    """Breaks one connection after so many bytes from the server: `cut` ends it, `silent` lets nothing more through."""

    after: int
    how: str = "cut"


@dataclass
class Proxy:
    """Stands between a client and a server on loopback. `breaks` are used up, one connection each.

    It counts the connections that it `accepted` and has `broken`.
    """

    server: int
    breaks: list[Break] = field(default_factory=list)
    latency: float = 0.0
    broken: int = 0
    accepted: int = 0

    @property
    def port(self) -> int:
        """The port it listens on, at 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
            except OSError:
                return
            with self._lock:
                planned = self.breaks.pop(0) if self.breaks else None
                self._open += [client, server]
                self.accepted += 1
            threading.Thread(target=self._pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, planned), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, planned: Break | None) -> None:
        left = planned.after if planned else None
        try:
            while data := source.recv(65_536):
                if self.latency:
                    time.sleep(self.latency)
                if left is not None and len(data) >= left:
                    sink.sendall(data[:left])
                    self.broken += 1
                    if planned is not None and planned.how == "silent":
                        self._over.wait()
                    break
                left = None if left is None else left - len(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes it and every connection through it."""
        self._over.set()
        for end in [self._listener, *self._open]:
            end.close()


@contextmanager
def proxy(server: int, breaks: list[Break], latency: float = 0.0) -> Iterator[Proxy]:
    """A proxy in front of the server on that port, until the block ends."""
    between = Proxy(server, list(breaks), latency)
    try:
        yield between
    finally:
        between.close()


def planned(seed: int, connections: int, most: int, silent: float = 0.0) -> list[Break]:
    """Random but reproducible breaks: of the first connection, then of about every other one."""
    chance = random.Random(seed)
    return [
        Break(int(most ** chance.random()) if not n or chance.random() < 0.6 else 1 << 62, _how(chance, silent))
        for n in range(connections)
    ]


def _how(chance: random.Random, silent: float) -> str:
    return "silent" if chance.random() < silent else "cut"
