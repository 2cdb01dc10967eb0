"""How far a load came that failed: kept beside its parts, so that the next run goes on at the first missing page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from singer_arrow import durable
from singer_arrow.converter import Counted
from singer_arrow.documents import PartFile
from tap_rest_api_msdk import mending
from tap_rest_api_msdk.mending import Column

_ENDING = ".progress.json"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A load whose parts hold `rows` rows, made of `received` records on `pages` pages.

    `cut` of the records lie before the bookmark, `left_out` were left out by on_schema_drift; others are dead letters.
    `place` is the page to go on at, `tail` the name of the record in front of it, `greatest` the replication key's greatest value
    in the rows, `total` what the API said it has; `asked` tells whether the same is asked for again: the
    SHA-256 of what decides a load but for its `columns`. `evolved` are the parts' columns beside these, which on_schema_drift
    added; `counted` is what was counted of the records. `at` is UTC.
    """

    load_id: str
    run_id: str
    started_at: datetime
    at: datetime
    asked: str
    place: int
    received: int
    tail: tuple[bytes, ...]
    greatest: str | None
    pages: int
    cut: int
    left_out: int
    total: int | None
    rows: int
    files: list[PartFile]
    columns: dict[str, Column]
    evolved: dict[str, Column]
    counted: Counted

    @property
    def dead_letters(self) -> int:
        """The records that did not fit their schema."""
        return self.received - self.rows - self.cut - self.left_out

    def fits(self, columns: Mapping[str, Column], is_frozen: bool) -> bool:
        """Whether the rows can go on with these columns. `is_frozen`: records with members that are not declared are rejected."""
        if columns == self.columns:
            return True
        is_all = not self.dead_letters  # which the new columns may hold
        return is_all and mending.fits(self.columns, columns, is_frozen and not self.left_out)


def asked(*what: Any) -> str:
    """The fingerprint of what decides a load; secrets do not come back from it."""
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()


def write(folder: Path, progress: Progress) -> None:
    """Writes it, durably."""
    durable.write_bytes(folder / (progress.load_id + _ENDING), msgspec.json.encode(progress))


def usable(
    folder: Path, wanted: str, columns: Mapping[str, Column], is_frozen: bool, hours: float, max_dead_letters: int
) -> Progress | None:
    """The newest progress of the same load that is not too old, has all its parts and fits; what cannot be used is removed.

    One with more dead letters than are allowed now is not used: reading again names them.
    """
    found: Progress | None = None
    for path in sorted(folder.glob("*" + _ENDING), reverse=True):
        one = _read(path)
        is_usable = one is not None and _is_usable(one, folder, wanted, hours) and one.fits(columns, is_frozen)
        if found is None and one is not None and is_usable and one.dead_letters <= max_dead_letters:
            found = one
            continue
        remove(folder, path.name.removesuffix(_ENDING))
    return found


def _is_usable(one: Progress, folder: Path, wanted: str, hours: float) -> bool:
    is_young = datetime.now(UTC) - one.at < timedelta(hours=hours)
    return is_young and one.asked == wanted and all((folder / part.path).exists() for part in one.files)


def remove(folder: Path, load_id: str) -> None:
    """Takes a load that failed away: its parts, then what was kept of it."""
    for path in folder.glob(f"{load_id}*.parquet"):
        path.unlink(missing_ok=True)
    (folder / (load_id + _ENDING)).unlink(missing_ok=True)


def forget(folder: Path, load_id: str) -> None:
    """Of a load that is complete."""
    (folder / (load_id + _ENDING)).unlink(missing_ok=True)


def _read(path: Path) -> Progress | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except (OSError, msgspec.MsgspecError):
        return None
