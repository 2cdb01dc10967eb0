"""The HTTP side: one endpoint per table behind basic authentication, and /health without."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.api.pages import EncodedTable

DEFAULT_LIMIT = 100


def build(tables: Mapping[str, EncodedTable], user: str, password: str, max_page_size: int) -> Starlette:
    """The application: GET /<table>?offset=0&limit=100 → one page of at most `max_page_size` records."""
    login = f"{user}:{password}".encode()

    async def page(request: Request) -> Response:
        _authenticate(request, login)
        table = tables[request.url.path.strip("/")]
        offset = _number(request, "offset", 0, lowest=0)
        limit = _number(request, "limit", DEFAULT_LIMIT, lowest=1)
        return Response(table.page(offset, min(limit, max_page_size)), media_type="application/json")

    async def health(_: Request) -> Response:
        return _json({"status": "ok", "tables": {name: table.rows for name, table in tables.items()}})

    routes = [Route("/health", health), *(Route(f"/{name}", page) for name in tables)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error})


def _authenticate(request: Request, login: bytes) -> None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(value, validate=True) if scheme.lower() == "basic" else b""
    except binascii.Error:
        given = b""
    if not secrets.compare_digest(given, login):
        raise HTTPException(401, "authentication required", {"WWW-Authenticate": 'Basic realm="sandbox", charset="UTF-8"'})


def _number(request: Request, name: str, default: int, lowest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= lowest):
        raise HTTPException(400, f"{name} must be a whole number from {lowest}")
    return int(text)


async def _error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code, error.headers)


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, "application/json")
