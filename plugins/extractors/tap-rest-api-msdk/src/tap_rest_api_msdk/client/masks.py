"""Secrets out of what an API says, before a person sees it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_SHORTEST = 4  # shorter ones would black out words
_SHOWN = 500
_SAID = re.compile(r'("[^"]*(?:token|secret|password|api_?key|authorization)[^"]*"\s*:\s*")[^"]*', re.IGNORECASE)


class Masks:
    """Knows every secret of the run, in the forms that tools write them in."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """One more secret, an access token say."""
        if len(secret) >= _SHORTEST:
            packed = b64encode(secret.encode()).decode().rstrip("=")
            written = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            self._forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), packed, *written}

    def hidden(self, text: str) -> str:
        """The text with *** for each secret."""
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return text

    def first_words(self, body: bytes) -> str:
        """The beginning of an answer's body on one line, without secrets; `an empty answer` for none."""
        text = " ".join(_SAID.sub(r"\1***", self.hidden(body[: 8 * _SHOWN].decode("utf-8", "replace"))).split())
        return text[:_SHOWN] or "an empty answer"
