"""What an API says, before a person sees it."""

from __future__ import annotations

import re

from singer_arrow import masks

_SHOWN = 500
_SAID = re.compile(r'("[^"]*(?:token|secret|password|api_?key|authorization)[^"]*"\s*:\s*")[^"]*', re.IGNORECASE)


class Masks(masks.Masks):
    """Knows every secret of the run."""

    def first_words(self, body: bytes) -> str:
        """The beginning of an answer's body on one line, without secrets; `an empty answer` for none."""
        text = " ".join(_SAID.sub(r"\1***", self.hidden(body[: 8 * _SHOWN].decode("utf-8", "replace"))).split())
        return text[:_SHOWN] or "an empty answer"
