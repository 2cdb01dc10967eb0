"""The workspace as an ASGI application: routes, the token check, and errors in the API's own form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.workspace import catalogs
from sandbox.workspace import clusters as all_clusters
from sandbox.workspace.dbfs import Dbfs
from sandbox.workspace.errors import ApiError, answer
from sandbox.workspace.faults import ADMIN, Faults, FaultyServer
from sandbox.workspace.files import Files
from sandbox.workspace.jobs import Jobs
from sandbox.workspace.runs import Runs
from sandbox.workspace.storage import Storage
from sandbox.workspace.tokens import Tokens

# The URL itself is the permission, the content is public, or the endpoint checks the caller itself.
PUBLIC = ("/presigned/", "/.well-known/", "/oidc/", ADMIN)


def build(storage: Storage, runs: Runs, clusters: tuple[str, ...], tokens: Tokens, faults: Faults) -> ASGIApp:
    """The application; `tokens` are what callers show, `faults` what is to go wrong."""

    async def check(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if not request.url.path.startswith(PUBLIC):
            refusal = tokens.refusal(request.headers.get("authorization", ""))
            if refusal is not None:
                return refusal
        return await call_next(request)

    async def me(_: Request) -> Response:
        return answer({"id": "1", "userName": "sandbox@example.com", "displayName": "Sandbox", "active": True})

    routes = [*Dbfs(storage).routes(), *Files(storage).routes(), *Jobs(runs, clusters).routes(), *tokens.routes()]
    routes += [*all_clusters.routes(clusters), *catalogs.routes()]
    routes += [Route(f"{ADMIN}faults", faults.admin, methods=["POST"]), Route(f"{ADMIN}requests", faults.admin, methods=["GET"])]
    app = Starlette(
        routes=[*routes, Route("/api/2.0/preview/scim/v2/Me", me)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=check)],
        exception_handlers={
            ApiError: _refused,
            HTTPException: _no_route,
            msgspec.DecodeError: _malformed,
            msgspec.ValidationError: _malformed,
        },
    )
    return FaultyServer(app, faults)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "ENDPOINT_NOT_FOUND" if error.status_code in (404, 405) else "BAD_REQUEST"
    message = f"No API found for '{request.method} {request.url.path}': the sandbox does not have it."
    return answer({"error_code": code, "message": message}, 404 if code == "ENDPOINT_NOT_FOUND" else error.status_code)


def _malformed(_: Request, error: Exception) -> Response:
    return ApiError(400, "MALFORMED_REQUEST", f"Could not parse request object: {error}").response()
