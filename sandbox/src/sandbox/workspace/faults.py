"""Faults on request: `POST /sandbox/faults` with the personal token, or `--faults FILE`, says what goes wrong next.

```json
{"requests": [{"path": "/jobs/runs/submit", "kind": "status", "status": 500, "after_effect": true}],
 "runs": ["hangs"], "quota": 700000, "foreign_runs": 30}
```

`requests` go wrong in the order they are listed, each `times` times after `skip` matching requests that pass. `runs` are what
becomes of the next runs that are submitted. `GET /sandbox/requests` lists the requests so far, with the `fault` of those
that met one. Each POST adds to what is there.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.workspace.errors import answer
from sandbox.workspace.runs import Runs
from sandbox.workspace.storage import Storage
from sandbox.workspace.tokens import Tokens

ADMIN = "/sandbox/"


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """What happens to requests whose path `path` (a regular expression) is found in, and whose method is `method`.

    status      `status` with `code`, `message` and `headers`; with `after_effect` once the request has had its effect
    slow        `seconds` later, all is well
    cut         the connection breaks without an answer; with `after_effect` as above
    truncated   the connection breaks in the middle of the answer's body
    half        an answer of half the body that looks whole, as a broken proxy sends it
    revoked     the caller's token is valid no more, beginning with this request
    """

    kind: Literal["status", "slow", "cut", "truncated", "half", "revoked"]
    path: str = ""
    method: str = ""
    skip: int = 0
    times: int = 1  # 0: always
    after_effect: bool = False
    status: int = 500
    code: str = "INTERNAL_ERROR"
    message: str = "The sandbox was asked to fail."
    headers: dict[str, str] = {}
    seconds: float = 0.0
    over: bool = False

    def hits(self, method: str, path: str) -> bool:
        """Whether this request goes wrong; counts it."""
        if self.over or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times == 1:
            self.over = True
        self.times -= 1 if self.times else 0
        return True


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST."""

    requests: list[Fault] = []
    runs: list[Literal["fails", "cluster-dies", "hangs"]] = []
    quota: int | None = None
    foreign_runs: int = 0


@dataclass
class Faults:
    """What is to go wrong, and what was asked so far."""

    runs: Runs
    storage: Storage
    tokens: Tokens
    requests: list[Fault] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def add(self, order: Order) -> None:
        """Switches faults on."""
        self.requests += order.requests
        self.runs.fates += order.runs
        if order.quota is not None:
            self.storage.quota = order.quota
        for number in range(order.foreign_runs):
            self.runs.add_foreign(f"somebody else's {number}")

    async def admin(self, request: Request) -> Response:
        """POST /sandbox/faults, GET /sandbox/requests."""
        if not self.tokens.is_owner(request.headers.get("authorization", "")):
            return answer({"error_code": "403", "message": "Invalid access token."}, 403)
        if request.method == "GET":
            return answer(self.seen)
        self.add(msgspec.json.decode(await request.body(), type=Order))
        return answer({})


class FaultyServer:
    """The workspace behind its faults; outermost, so that nothing else touches the connection."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"].startswith(ADMIN):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        seen: dict[str, Any] = {"method": method, "path": path, "at": time.time(), "status": 0}
        self._faults.seen.append(seen)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            await send(message)

        fault = next((fault for fault in self._faults.requests if fault.hits(method, path)), None)
        if fault is None:
            await self._app(scope, receive, noting)
            return
        seen["fault"] = fault.kind
        await self._fail(fault, scope, receive, noting, getattr(send, "__self__", None))

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send, connection: Any) -> None:
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind == "revoked":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self._faults.tokens.revoke(headers.get("authorization", ""))
            await self._app(scope, receive, send)
        elif fault.kind == "status":
            await self._effect(fault, scope, receive)
            response = answer({"error_code": fault.code, "message": fault.message}, fault.status, fault.headers)
            await response(scope, receive, send)
        elif fault.kind == "cut":
            await self._effect(fault, scope, receive)
            connection.transport.abort()  # uvicorn's own object behind `send`: ASGI has no word for a broken connection
        else:
            start, body = await _answered(self._app, scope, receive)
            half = body[: len(body) // 2]
            if fault.kind == "half":
                start["headers"] = [(name, value) for name, value in start["headers"] if name != b"content-length"]
                start["headers"].append((b"content-length", str(len(half)).encode()))
            await send(start)
            # an answer that is shorter than its content-length and not completed: uvicorn closes the connection
            await send({"type": "http.response.body", "body": half, "more_body": fault.kind == "truncated"})

    async def _effect(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        """Does what was asked, or only reads the request to its end."""
        if fault.after_effect:
            await _answered(self._app, scope, receive)
            return
        while (await receive()).get("more_body"):
            pass


async def _answered(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[MutableMapping[str, Any], bytes]:
    """What the application answers: the start of its response, and the whole body."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])
