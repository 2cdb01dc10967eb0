"""Logins that are headers: basic, bearer_token, api_key, and none."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from tap_rest_api_msdk.settings import Settings

_MADE_OF = {
    "no_auth": "auth_method (it is no_auth), headers and params",
    "basic": "API_USER and API_PASSWORD (username, password)",
    "bearer_token": "bearer_token",
    "api_key": "api_keys",
}


class HeaderAuth:
    """The same headers on every request."""

    def __init__(self, method: str, headers: Mapping[str, str]) -> None:
        self.settings = _MADE_OF[method]
        self._headers = headers

    def sign(self, url: str, headers: dict[str, str], body: bytes | None) -> None:
        """See Auth."""
        headers |= self._headers

    def renew(self) -> bool:
        """Never: they are what was set."""
        return False


def headers_of(settings: Settings) -> dict[str, str]:
    """The headers of a method. Basic is UTF-8, as RFC 7617 has it."""
    if settings.auth_method == "basic":
        login = f"{settings.username}:{settings.password.reveal()}"
        return {"Authorization": "Basic " + b64encode(login.encode()).decode()}
    if settings.auth_method == "bearer_token":
        return {"Authorization": f"Bearer {settings.bearer_token.reveal()}"}
    if settings.auth_method == "api_key":
        return {name: key.reveal() for name, key in settings.api_keys.items()}
    return {}
