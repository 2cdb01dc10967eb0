"""A way to the server that cuts connections: a listener on this machine that passes bytes on, up to a number of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_CHUNK = 16_384


@contextmanager
def cutting(host: str, port: int, after: Sequence[int | None]) -> Iterator[int]:
    """The port on 127.0.0.1 that leads to the server. `after`: bytes from the server after which the first connection is cut,
    the second, and so on; None for never, and for all that follow."""
    listener = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = [listener]
    limits = list(after)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((host, port))
                opened.extend((client, server))
                limit = limits.pop(0) if limits else None
                for source, sink, most in ((client, server, None), (server, client, limit)):
                    threading.Thread(target=_pass_on, args=(source, sink, most), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _pass_on(source: socket.socket, sink: socket.socket, most: int | None) -> None:
    left = most
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            if left is not None and len(data) >= left:
                sink.sendall(data[:left])
                break
            left = None if left is None else left - len(data)
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
