"""Whether a load continues what the ledger holds of its stream (docs/contracts.md, Order of loads). Pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from lakehouse.job.errors import Refused
from lakehouse.job.loads import Load
from lakehouse.job.types import type_family

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d*))? ?(?:Z|([+-])(\d\d):(\d\d))?")
NEXT = "the next run reads on from where the ledger ends, and covers it"


@dataclass(frozen=True)
class Applied:
    """What is known of a stream's applied loads: the last one, the last one read whole, and the bookmark T."""

    last: str | None = None
    last_whole: str | None = None
    bookmark: dict[str, Any] | None = None

    @property
    def value(self) -> Any:
        """T; None for a stream without."""
        return value_of(self.bookmark)

    def after(self, load: Load) -> Applied:
        """The same when this load is applied, too."""
        whole = load.load_id if load.mode == "overwrite" else self.last_whole
        before = None if load.mode == "overwrite" else self.bookmark
        return Applied(load.load_id, whole, load.manifest["bookmark"] or before)


def value_of(bookmark: dict[str, Any] | None) -> Any:
    """Up to where a bookmark says a stream is read: a value of its replication key, or a version of its table; or None."""
    found = bookmark or {}
    return found.get("replication_key_value", found.get("change_version"))


def key_of(bookmark: dict[str, Any] | None) -> str:
    """What these values are of, for people."""
    found = bookmark or {}
    return "the source's change tracking" if "change_version" in found else str(found.get("replication_key") or "")


def is_backfill(load: Load) -> bool:
    """Whether it is of a window that was set and does not end where its bookmark is, which stays whatever the load has."""
    cursor, bookmark = load.manifest["cursor"], load.manifest["bookmark"] or {}
    if load.mode != "merge" or not cursor or cursor["to"] is None:
        return False
    return in_one_spelling(cursor["to"]) != in_one_spelling(bookmark.get("replication_key_value", cursor["to"]))


def is_alike(load: Load, applied: Applied) -> bool:
    """Whether the load's bookmark and the ledger's, as far as they say it, are of one key."""
    key, known = key_of(load.manifest["bookmark"]), key_of(applied.bookmark)
    return key == known or not (key and known)


def superseded_by(load: Load, applied: Applied) -> str | None:
    """What makes a load needless that is older than the last applied one; or None. Raises Refused for an older one."""
    if applied.last is None or load.load_id > applied.last:
        return None
    if applied.last_whole and applied.last_whole > load.load_id:
        return f"the stream was read whole later, by load {applied.last_whole}"
    cursor = load.manifest["cursor"]
    known = cursor and not is_backfill(load) and is_alike(load, applied) and None not in (cursor["to"], applied.value)
    if known and is_reached(load, cursor["to"], applied.value):
        return f"later loads cover it: the ledger ends at {applied.value}"
    if load.mode == "repair":
        raise Refused(
            f"its ranges were read before the later load {applied.last}, and would put older rows over newer ones",
            f"entrypoint.sh repair {shlex.quote(load.manifest['stream'])} reads them anew",
        )
    raise Refused(
        f"it comes after the later load {applied.last}, and would put its older rows over newer ones",
        f"entrypoint.sh drop {load.load_id} gives it up, "
        f"entrypoint.sh refresh {shlex.quote(load.manifest['stream'])} reads the stream anew",
    )


def check_continues(load: Load, applied: Applied) -> None:
    """Raises Refused for an append or merge that does not begin where the ledger ends: rows would be missing, or double."""
    cursor, bookmark = load.manifest["cursor"], load.manifest["bookmark"] or {}
    if load.mode == "repair" and (applied.last is None or not load.keys or not load.manifest.get("ranges")):
        raise Refused(
            "it replaces ranges of keys, and the ledger holds nothing of this stream"
            if applied.last is None
            else "it replaces ranges of keys, and does not say which",
            f"entrypoint.sh refresh {shlex.quote(load.manifest['stream'])} reads the stream whole",
        )
    if load.mode == "overwrite" or not cursor:
        return
    start = cursor["from"]
    if load.mode == "merge" and (cursor["to"] is None or is_backfill(load)):
        return  # its tap does not say up to where it read; or it leaves the bookmark where it is
    whole = f"entrypoint.sh refresh {shlex.quote(load.manifest['stream'])} reads the stream whole"
    if applied.value is None:
        if start is not None:
            raise Refused(f"it starts behind {start}, and the ledger holds nothing of this stream up to there", whole)
        if applied.last is not None and load.mode == "append":
            raise Refused("it starts at the beginning, and the ledger holds loads of this stream: rows would be double", whole)
        return
    if not is_alike(load, applied):
        told = key_of(bookmark), key_of(applied.bookmark)
        raise Refused(f"it is read by {told[0]}, and the ledger's bookmark is of {told[1]}", whole)
    if load.mode == "append" and (start is None or in_one_spelling(start) != in_one_spelling(applied.value)):
        raise Refused(f"it starts at {start}, the ledger ends at {applied.value}: rows would be missing or double", NEXT)
    if load.mode == "merge" and start is not None and not is_reached(load, start, applied.value):
        raise Refused(f"it starts behind {start}, the ledger ends at {applied.value}: what lies between is missing", NEXT)


def is_reached(load: Load, value: Any, bookmark: Any) -> bool:
    """Whether a bookmark is at or behind a value of the load's replication key."""
    name = load.manifest["cursor"]["column"]
    family = next((type_family(each["type"]) for each in load.columns if each["name"] == name), "string")
    if name is None:
        family = "int64"  # versions
    one, other = in_one_spelling(value), in_one_spelling(bookmark)
    if family in ("int16", "int32", "int64", "decimal128"):
        return Decimal(one) <= Decimal(other)
    if family in ("float", "double"):
        return float(one) <= float(other)
    moments = [_moment(str(each)) if family == "timestamp" else None for each in (value, bookmark)]
    return moments[0] <= moments[1] if None not in moments else one <= other  # type: ignore[operator]


def _moment(text: str) -> Decimal | None:
    """Seconds since a day long ago, in UTC where the text has an offset: 10:00 -03:00 is behind 12:00 +00:00."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    day, hours, minutes, seconds, fraction, sign, *offset = found.groups()
    clock = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    east = (int(offset[0]) * 3600 + int(offset[1]) * 60) * (-1 if sign == "-" else 1) if sign else 0
    return Decimal(date.fromisoformat(day).toordinal() * 86_400 + clock - east) + Decimal(f"0.{fraction or 0}")


def in_one_spelling(value: object) -> str:
    """A cursor value in one spelling: `2026-01-01 00:00:00` and `2026-01-01T00:00:00.000000Z` are the same."""
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\d[T ]", text):
        text = re.sub(r"(Z|[+-]00:00)$", "", text.replace(" ", "T", 1))
        return re.sub(r"\.0*$|(\.\d*?)0+$", r"\1", text)
    return text
