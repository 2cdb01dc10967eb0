"""What a bookmark says: the greatest value of the replication key, as text that compares within its type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa


def later(arrow: pa.DataType, old: str | None, new: str | None) -> str | None:
    """The greater of two bookmarks of a column of this type; None is less than everything."""
    if old is None or new is None:
        return new if old is None else old
    if pa.types.is_integer(arrow) or pa.types.is_decimal(arrow):
        return max(old, new, key=Decimal)
    if pa.types.is_floating(arrow):
        return max(old, new, key=float)
    return max(old, new)


def earlier(arrow: pa.DataType, start: str | None, lookback: float) -> str | None:
    """A bookmark of a column of this type, moved back: by seconds for times, whole days for dates, units for numbers."""
    if start is None or not lookback:
        return start
    if pa.types.is_integer(arrow) or pa.types.is_decimal(arrow) or pa.types.is_floating(arrow):
        return format(Decimal(start) - Decimal(str(lookback)), "f")
    if pa.types.is_date(arrow):
        return (date.fromisoformat(start[:10]) - timedelta(days=-(-lookback // 86400))).isoformat()
    moment = datetime.fromisoformat(start) - timedelta(seconds=lookback)
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def query_text(bookmark: str) -> str:
    """A bookmark as it goes into source_search_query: a time's empty fraction left out."""
    plain = bookmark.removesuffix("Z")
    return plain.removesuffix(".000000") + bookmark[len(plain) :] if ":" in plain else bookmark
