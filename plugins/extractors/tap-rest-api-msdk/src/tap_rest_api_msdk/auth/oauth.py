"""OAuth 2.0 (RFC 6749): access tokens by client_credentials, password or refresh_token, renewed before they expire."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
import tenacity

from tap_rest_api_msdk.client.answers import Answer, without_query
from tap_rest_api_msdk.client.masks import Masks
from tap_rest_api_msdk.client.transport import Transport
from tap_rest_api_msdk.errors import ApiUnavailable, CredentialsRefused, Passing
from tap_rest_api_msdk.retry import Patience, backoff
from tap_rest_api_msdk.settings import Settings

_EARLY_SECONDS = 30.0
_SHARE_EARLY = 0.1  # of a short life


class _Busy(Passing):
    """The login server failed, and may not the next time."""


class OAuth:
    """Asks the login server when there is no token, or the one there is is about to expire."""

    settings = (
        "access_token_url, grant_type and what it needs (client_id, client_secret, username, password, refresh_token, scope)"
    )

    def __init__(self, settings: Settings, transport: Transport, patience: Patience, masks: Masks) -> None:
        self._transport, self._patience, self._masks = transport, patience, masks
        self._url, self._life = settings.access_token_url, settings.oauth_expiration_secs
        self._form: dict[str, Any] = {
            "grant_type": settings.grant_type,
            "scope": settings.scope,
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.reveal(),
            "username": settings.username,
            "password": settings.password.reveal(),
            "refresh_token": settings.refresh_token.reveal(),
            "redirect_uri": settings.redirect_uri,
        }
        self._form = {name: value for name, value in self._form.items() if value} | settings.oauth_extras
        self._headers = {name: str(value) for name, value in settings.headers.items()}
        self._token, self._until = "", 0.0
        self._lock = threading.Lock()

    def sign(self, url: str, headers: dict[str, str], body: bytes | None) -> None:
        """See Auth."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._fetch()
            headers["Authorization"] = f"Bearer {self._token}"

    def renew(self) -> bool:
        """Forgets the token: the next request gets another one."""
        with self._lock:
            self._until = 0.0
        return True

    def _fetch(self) -> None:
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Passing),
            wait=lambda state: backoff(state.attempt_number),
            stop=tenacity.stop_after_delay(self._patience.failures),
            reraise=True,
        )
        try:
            answer = tries(self._asked)
        except Passing as error:
            raise ApiUnavailable(f"the login server {without_query(self._url)}: {error}") from error
        asked = time.monotonic()
        self._token, life = self._read(answer)
        early = min(_EARLY_SECONDS, life * _SHARE_EARLY)
        self._until = asked + life - early

    def _asked(self) -> Answer:
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = self._transport.send(self._url, headers, urlencode(self._form).encode(), "POST")
        if answer.status == 429 or answer.status >= 500:
            raise _Busy(f"it answered {answer.status} {answer.reason}")
        return answer

    def _read(self, answer: Answer) -> tuple[str, float]:
        """Token and life in seconds. Raises CredentialsRefused for anything but a token."""
        try:
            said: Any = msgspec.json.decode(answer.json) if answer.status < 300 else None
            token = said["access_token"]
            life = float(said.get("expires_in") or self._life or 3600)
            refreshed = said.get("refresh_token")
        except (msgspec.MsgspecError, Passing, TypeError, KeyError, ValueError, AttributeError):
            raise CredentialsRefused(
                f"the login server {without_query(self._url)} gave no access token; it answered {answer.status}: "
                f"{self._masks.first_words(answer.body)}",
                action=f"check {self.settings}",
            ) from None
        self._masks.add(str(token))
        if refreshed and "refresh_token" in self._form:
            self._masks.add(str(refreshed))
            self._form["refresh_token"] = str(refreshed)
        return str(token), life
