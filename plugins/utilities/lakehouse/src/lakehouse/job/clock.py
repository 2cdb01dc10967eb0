"""The time, as all documents write it: UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

UTC = timezone.utc  # noqa: UP017  (DBR 13.3 has Python 3.10)


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC; a moment without a zone is of this process's, as `collect` gives them."""
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
