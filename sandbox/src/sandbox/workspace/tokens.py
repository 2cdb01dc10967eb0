"""Who may call: one personal access token, and OAuth tokens for one service principal (client credentials, RFC 6749 4.4).

https://docs.databricks.com/en/dev-tools/auth/oauth-m2m.html: POST /oidc/v1/token with the client's id and secret as basic
authentication, `grant_type=client_credentials` and `scope=all-apis`.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.workspace.errors import answer

LIFETIME_S = 3600  # of an OAuth token, as the real one gives it
WORKSPACE_ID = "1"
NO_CREDENTIAL = "Credential was not sent or was of an unsupported type for this API."


@dataclass
class Tokens:
    """The tokens that are valid now. `client_id` and `client_secret` are the service principal's; empty for none."""

    personal: str
    client_id: str = ""
    client_secret: str = ""
    lifetime_s: float = LIFETIME_S
    _issued: dict[str, float] = field(default_factory=dict)  # until when each is valid, on the clock `time.monotonic`
    _revoked: set[str] = field(default_factory=set)

    def refusal(self, authorization: str) -> Response | None:
        """What a request with this header is answered, None where it may go on."""
        if not authorization.startswith("Bearer "):
            return answer({"error_code": 401, "message": NO_CREDENTIAL}, 401)
        given = authorization[7:]
        if given in self._issued:
            if given not in self._revoked and time.monotonic() < self._issued[given]:
                return None
            return answer({"error_code": 401, "message": "The access token expired or was revoked."}, 401)
        if given not in self._revoked and _same(given, self.personal):
            return None
        return answer({"error_code": "403", "message": "Invalid access token."}, 403)

    def is_owner(self, authorization: str) -> bool:
        """Whether the header holds the personal token, also one that was revoked: it switches faults on and off."""
        return _same(authorization, f"Bearer {self.personal}")

    def revoke(self, authorization: str) -> None:
        """Ends a token's validity."""
        self._revoked.add(authorization.removeprefix("Bearer "))

    def routes(self) -> list[Route]:
        """The token endpoint, and the documents by which clients find it."""
        return [
            Route("/oidc/v1/token", self.issue, methods=["POST"]),
            Route("/oidc/.well-known/oauth-authorization-server", self.server, methods=["GET"]),
            Route("/.well-known/databricks-config", self.host, methods=["GET"]),
        ]

    async def issue(self, request: Request) -> Response:
        """A new access token for the right id and secret."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return answer({"error": "unsupported_grant_type", "error_description": "Unsupported grant type"}, 400)
        client, secret = _basic(request.headers.get("authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        if not self.client_id or not _same(client, self.client_id) or not _same(secret, self.client_secret):
            return answer({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
        token = f"eyJ-{secrets.token_urlsafe(32)}"
        self._issued[token] = time.monotonic() + self.lifetime_s
        return answer(
            {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lifetime_s), "scope": form.get("scope", "")}
        )

    async def server(self, request: Request) -> Response:
        """RFC 8414: where the endpoints are."""
        base = f"{_base(request)}/oidc"
        return answer({"issuer": base, "authorization_endpoint": f"{base}/v1/authorize", "token_endpoint": f"{base}/v1/token"})

    async def host(self, request: Request) -> Response:
        """What databricks-sdk asks a host about itself."""
        return answer({"oidc_endpoint": f"{_base(request)}/oidc", "account_id": "sandbox", "workspace_id": WORKSPACE_ID})


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


def _basic(authorization: str) -> tuple[str, str] | None:
    if not authorization.startswith("Basic "):
        return None
    try:
        user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', 'workspace')}"
