"""Accepts connections until SIGTERM."""

from __future__ import annotations

import signal
import socket
import ssl
import threading

from sandbox.sqlserver.engine.connection import Connection
from sandbox.sqlserver.engine.login import Credentials
from sandbox.sqlserver.engine.store import Store

_LOOK_SECONDS = 0.2  # how often it looks for the signal


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    listener = socket.create_server((host, port), backlog=64)
    listener.settimeout(_LOOK_SECONDS)
    return listener


def serve(listener: socket.socket, stopping: threading.Event, store: Store, context: ssl.SSLContext, login: Credentials) -> None:
    """One thread per connection, until `stopping`; threads that still serve a client are not waited for."""
    while not stopping.is_set():
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            continue
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, store, context, login)
        threading.Thread(target=connection.serve, daemon=True).start()
    listener.close()
    store.close()


def stop_on_sigterm() -> threading.Event:
    """Set by SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    return stopping
