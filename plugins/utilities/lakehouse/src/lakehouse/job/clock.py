"""The time, as all documents write it: UTC."""

from __future__ import annotations

from datetime import datetime, timezone

UTC = timezone.utc  # noqa: UP017  (DBR 13.3 has Python 3.10)


def utc_now() -> datetime:
    """Now, with its zone."""
    return datetime.now(UTC)
