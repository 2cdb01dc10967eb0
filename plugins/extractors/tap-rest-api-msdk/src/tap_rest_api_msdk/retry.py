"""How long to wait before the next try: pure arithmetic, no sleeping."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT = 0.25
LONGEST_WAIT = 30.0


@dataclass(frozen=True)
class Patience:
    """Limits in seconds, counted from a request's first failure: of failures, and of being told to wait."""

    failures: float = 15.0
    throttling: float = 300.0
    header: str = "Retry-After"
    extension: float = 0.0


def backoff(tries: int) -> float:
    """Seconds to wait after this many failed tries: doubling, with half of it random, at most LONGEST_WAIT."""
    longest: float = min(FIRST_WAIT * 2 ** min(tries - 1, 20), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)


def told_to_wait(header: str | None, now: datetime | None = None) -> float | None:
    """The seconds a Retry-After header asks for, as a number or an HTTP-date (RFC 9110, 10.2.3); None for none."""
    text = (header or "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdigit() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)
