"""HTTP over real sockets: what is answered is a function, what was asked is kept. Standard library only.

A reply may take the connection over and send what no HTTP library would.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

BUDGET = 3_000  # requests; whoever asks for more is in an endless run


@dataclass(frozen=True)
class Request:
    """What was asked; `number` counts from 0, names of headers are in lower case, `at` is time.monotonic()."""

    number: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def parameters(self) -> dict[str, str]:
        """The query, and what a JSON body holds."""
        sent = json.loads(self.body) if self.headers.get("content-type", "").startswith("application/json") else {}
        return {**self.query, **{name: str(value) for name, value in sent.items()}}

    @property
    def text(self) -> str:
        """All that was sent, to look for secrets in it."""
        heads = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.target}\n{heads}\n\n{self.body.decode('utf-8', 'replace')}"


class Wire:
    """A connection that a reply has taken over."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection, self._closing = connection, closing

    def send(self, content: bytes) -> None:
        self._connection.sendall(content)

    def hang(self, seconds: float = 3600) -> bool:
        """Says nothing until the server stops, or the client has closed its end; whether to go on."""
        self._connection.settimeout(0.1)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self._connection.recv(1):
                    return False
        return not self._closing.is_set()

    def reset(self) -> None:
        """Closes the connection with a reset in place of an end."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self._connection.detach())


@dataclass(frozen=True)
class Reply:
    """An answer: JSON (or bytes), or what `raw` sends. `start` and `stop` bound the rows of an honest page."""

    content: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    start: int | None = None
    stop: int | None = None
    raw: Callable[[Wire], None] | None = None

    def but(self, content: Any = None, **more: Any) -> Reply:
        """The same with other content, status, headers or way to be sent."""
        return replace(self, **more) if content is None else replace(self, content=content, **more)

    @property
    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content, ensure_ascii=False).encode()

    def head(self, **headers: str) -> bytes:
        """Status line and headers; `headers` with `_` for `-`; an empty one is left out."""
        told = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **self.headers}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self.status == 204:
            told.pop("Content-Length")
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Unheard Of"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in told.items() if value)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def sent(self) -> bytes:
        return self.head() + (b"" if self.status == 204 else self.body)


Serve = Callable[[Request], Reply]


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        api = cast(_Server, self.server).api
        api.ports.add(self.client_address[1])
        with contextlib.suppress(OSError, ValueError):
            while request := self._next(api):
                reply = api.answer(request)
                if reply is None:
                    return
                if reply.raw:
                    reply.raw(Wire(self.connection, api.closing))
                    return
                self.connection.sendall(reply.sent())
                if request.headers.get("connection", "").lower() == "close":
                    return

    def _next(self, api: Api) -> Request | None:
        line = self.rfile.readline(1 << 16).split()
        if len(line) != 3:
            return None
        headers = {}
        while (text := self.rfile.readline(1 << 16).decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        return api.arrived(line[0].decode(), line[1].decode("latin-1"), headers, body)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, block_on_close, allow_reuse_address, request_queue_size = True, False, True, 64
    api: Api
    tls: ssl.SSLContext | None

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.tls:  # the handshake comes with the first byte that is read, in the connection's own thread
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, address: Any) -> None:
        """Clients go away; that is no error here."""


class Api:
    """A running server. Answers come from `serve`, one at a time, so that what it counts is right; sending them is not.

    A request beyond the budget gets no answer. `broken` holds what went wrong in `serve` itself: a mistake of the test.
    """

    def __init__(self, serve: Serve, host: str = "127.0.0.1", budget: int = BUDGET, tls: ssl.SSLContext | None = None) -> None:
        self.serve, self.budget = serve, budget
        self.requests: list[Request] = []
        self.broken: list[Exception] = []
        self.ports: set[int] = set()  # of the connections that clients made
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server((host, 0), _Connection)
        self._server.api, self._server.tls = self, tls
        self.host, self.port = host, self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        if error is None and self.broken:
            raise self.broken[0]

    def arrived(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        with self._lock:
            request = Request(len(self.requests), method, target, headers, body, time.monotonic())
            self.requests.append(request)
        return request

    def answer(self, request: Request) -> Reply | None:
        if request.number >= self.budget:
            return None
        with self._lock:
            try:
                return self.serve(request)
            except Exception as error:
                self.broken.append(error)
                return Reply({"error": "the test's own mistake"}, 500)

    def asked(self, **parameters: object) -> list[Request]:
        """The requests with these parameters."""
        wanted = {name: str(value) for name, value in parameters.items()}
        return [request for request in self.requests if wanted.items() <= request.parameters.items()]
