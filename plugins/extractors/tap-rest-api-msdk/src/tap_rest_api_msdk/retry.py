"""How long to wait before the next try: pure arithmetic, no sleeping."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct

FIRST_WAIT = 0.25
LONGEST_WAIT = 30.0
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII)
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_EPOCH = 10**9  # a greater number is a moment, a smaller one a number of seconds


class Patience(Struct, frozen=True):
    """Limits in seconds, counted from a request's first failure: of failures, and of being told to wait.

    `header` is where the API says how long to wait, `extension` what is added; `in_message`: its answer's `message` says it too.
    """

    failures: float = 15.0
    throttling: float = 300.0
    header: str = "Retry-After"
    extension: float = 0.0
    in_message: bool = False


def backoff(tries: int) -> float:
    """Seconds to wait after this many failed tries: doubling, with half of it random, at most LONGEST_WAIT."""
    longest: float = min(FIRST_WAIT * 2 ** min(tries - 1, 20), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)


def told_to_wait(header: str | None, now: datetime | None = None) -> float | None:
    """The seconds a Retry-After header asks for, as a number or an HTTP-date (RFC 9110, 10.2.3); None for anything else."""
    text = (header or "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def rate_limit(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds until a rate limit that is used up starts anew (0 where that is not said); None where it is not used up."""
    if not any((headers.get(name) or "").strip() == "0" for name in _REMAINING):
        return None
    reset = next((value.strip() for name in _RESET if (value := headers.get(name))), "")
    if not _NUMBER.fullmatch(reset):
        return 0.0
    at = float(reset)
    return max(at - (now or datetime.now(UTC)).timestamp(), 0.0) if at > _EPOCH else at


def in_message(message: object) -> float | None:
    """The greatest whole number among the words of an answer's `message`, as published: seconds to wait."""
    numbers = [int(word) for word in str(message or "").split() if word.isascii() and word.isdigit() and len(word) < 10]
    return float(max(numbers)) if numbers else None
