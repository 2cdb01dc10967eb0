"""Secrets out of what is said, in every form that tools write them in: plain, base64, in a URL, in JSON."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from urllib.parse import quote, quote_plus, unquote, urlsplit

_SHORTEST = 4  # characters; shorter ones would black out words
_SECRET = re.compile(r"(PASSWORD|SECRET|TOKEN|CREDENTIALS|API_?KEYS?|ACCESS_KEY|PRIVATE_KEY|WEBHOOK|OAUTH_EXTRAS)$")
_SOME = re.compile(r"(HEADERS|PARAMS|__AUTH)$")  # a secret among the rest: in JSON, or as `name=value,…`
_THAT = re.compile(r"auth|token|secret|password|key|cookie|sig", re.IGNORECASE)
_SCHEME = re.compile(r"^(bearer|basic|token|api-?key) +", re.IGNORECASE)  # of Authorization: what follows is the secret
_USER = re.compile(r"(USER|USERNAME|CLIENT_ID)$")
_URL = re.compile(r"(PROXY|URL|URI|HOST)$", re.IGNORECASE)  # with a login in it, perhaps


class Masks:
    """Knows secrets in the forms that tools write them in."""

    def __init__(self, secrets: Iterable[str] = (), users: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._users = list(users)  # HTTP's Basic sends user and password as one
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """One more secret, an access token say."""
        if len(secret) >= _SHORTEST:
            packed = {b64encode(each.encode()).decode().rstrip("=") for each in (secret, *(f"{u}:{secret}" for u in self._users))}
            written = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            self._forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), *packed, *written}

    def hidden(self, text: str) -> str:
        """The text with *** for each secret."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text


@cache
def of_run() -> Masks:
    """The masks of this process's environment, as it is when they are first asked for."""
    return of(os.environ)


def of(environment: Mapping[str, str]) -> Masks:
    """The masks of the secrets in an environment, which the names of variables tell."""
    users = ["token", *(value for name, value in environment.items() if _USER.search(name) and value)]
    return Masks((secret for name, value in environment.items() for secret in _secrets(name, value)), users)


def _secrets(name: str, value: str) -> Iterator[str]:
    if _URL.search(name) and "@" in value:
        yield unquote(urlsplit(value).password or "")
    if not (_SECRET.search(name) or _SOME.search(name)):
        return
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if _SECRET.search(name) and not isinstance(found, dict):
        yield value
        return
    if not isinstance(found, dict):
        found = {key: unquote(each) for key, _, each in (pair.partition("=") for pair in value.split(","))}
    for key, each in found.items():
        if isinstance(each, str) and (_SECRET.search(name) or _THAT.search(key)):
            yield from (each, _SCHEME.sub("", each))
