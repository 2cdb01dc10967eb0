"""A network's distance: every request waits before it is taken in."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send


def delayed(application: ASGIApp, seconds: float) -> ASGIApp:
    """The application, answering every request so much later."""

    async def wait_first(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(seconds)
        await application(scope, receive, send)

    return wait_first if seconds else application
