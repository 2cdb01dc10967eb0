"""What a bookmark says: the greatest value of the replication key, as text that compares within its type."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow.lookback import day_before, number_before, time_before

_LONGEST = 10**12  # seconds, more than there are in the years 1 to 9999


def later(arrow: pa.DataType, old: str | None, new: str | None) -> str | None:
    """The greater of two bookmarks of a column of this type; None is less than everything."""
    if old is None or new is None:
        return new if old is None else old
    if pa.types.is_integer(arrow) or pa.types.is_decimal(arrow):
        return max(old, new, key=Decimal)
    if pa.types.is_floating(arrow):
        return max(old, new, key=float)
    if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):  # start_date, and what RECORDs hold, may have a zone of their own
        return max(new, old, key=lambda text: scalar(arrow, text).value)
    return max(old, new)


def earlier(arrow: pa.DataType, start: str | None, lookback: float) -> str | None:
    """A bookmark of a column of this type, moved back: by seconds for times, by whole days for dates, by units for numbers.

    No further than the least value that the column holds.
    """
    if start is None or not lookback:
        return start
    if pa.types.is_floating(arrow):
        return format(Decimal(start) - Decimal(str(lookback)), "f")
    if pa.types.is_integer(arrow) or pa.types.is_decimal(arrow):
        return number_before(start, Decimal(str(lookback)), arrow)
    if pa.types.is_date(arrow):
        return day_before(_day(start).isoformat(), lookback)
    if pa.types.is_time(arrow):
        return time_before(start, Decimal(str(lookback)))
    moment = datetime.fromisoformat(start)
    moment -= min(timedelta(seconds=min(lookback, _LONGEST)), moment - datetime.min.replace(tzinfo=moment.tzinfo))
    if moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    return moment.isoformat(timespec="microseconds")


def scalar(arrow: pa.DataType, text: str) -> pa.Scalar:
    """A bookmark, or start_date, as a value of its column. A time without a zone is UTC where the column has one, and the other
    way round.
    """
    if pa.types.is_timestamp(arrow):
        moment = datetime.fromisoformat(text)
        utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        return pa.scalar(utc.replace(tzinfo=UTC) if arrow.tz else utc, arrow)
    if pa.types.is_date(arrow):
        return pa.scalar(_day(text), arrow)
    if pa.types.is_time(arrow):  # Arrow reads none but as a moment; behind the digits of its type are zeros
        of_day = "1970-01-01T" + text[: len("16:12:24.123456") if arrow.unit == "us" else None]
        return pc.cast(pc.cast(pa.array([of_day], pa.string()), pa.timestamp(arrow.unit)), arrow)[0]
    return pc.cast(pa.array([text], pa.string()), arrow)[0]


def _day(text: str) -> date:
    return datetime.fromisoformat(text).date()


def query_text(bookmark: str) -> str:
    """A bookmark as it goes into source_search_query: a time's empty fraction left out."""
    plain = bookmark.removesuffix("Z")
    return plain.removesuffix(".000000") + bookmark[len(plain) :] if ":" in plain else bookmark
