"""Ranges: the pieces a table is read in, and what has become of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from singer_arrow.documents import ColumnFacts, PartFile

Bound = tuple[str, ...]  # the exact text of one row's key, a text per column
Kind = Literal["keys", "nulls", "scan", "deletes"]
Place = tuple[int, ...]


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with `lower < key <= upper` (`keys`), without a replication key (`nulls`), or all of them in one go (`scan`).

    `deletes` are no rows, but the keys of those that the database deleted.

    The places of a load's ranges sort as their keys do: 1, 2, 3, and 2.1 for what is cut off the second one later.
    """

    kind: Kind = "keys"
    place: Place = (1,)
    lower: Bound | None = None
    upper: Bound | None = None

    @property
    def number(self) -> str:
        """The place as text, for the names of parts and records: `0007`, `0007.1`."""
        return ".".join([f"{self.place[0]:04d}", *map(str, self.place[1:])])

    def up_to(self, upper: Bound) -> Range:
        """The first part of this range, when it is cut at a bound."""
        return msgspec.structs.replace(self, upper=upper)

    def beyond(self, lower: Bound, taken: Collection[Place]) -> Range:
        """What is left when it is cut at a bound, at a free place behind it."""
        return msgspec.structs.replace(self, lower=lower, place=between(self.place, taken))

    def __str__(self) -> str:
        if self.kind != "keys":
            return {"nulls": "rows without a replication key", "scan": "all rows", "deletes": "deleted rows"}[self.kind]
        return f"keys after {_text(self.lower, 'the beginning')} up to {_text(self.upper, 'the end')}"


def between(place: Place, taken: Collection[Place]) -> Place:
    """The place that follows: the next whole number where it is free, else one before the next that is taken."""
    after = min((t for t in taken if t > place), default=None)
    if after is None or (place[0] + 1,) < after:
        return (place[0] + 1,)
    child = (*place, 1)
    while child >= after:
        child = (*child[:-1], 0, 1)
    return child


def _text(bound: Bound | None, end: str) -> str:
    return end if bound is None else "(" + ", ".join(bound) + ")"


class FinishedRange(msgspec.Struct, kw_only=True):
    """A range that was read and proven: rows as the source says it has them and as written, its parts, facts per column.

    `finer` counts values with a digit below a microsecond, by column. `changed`: rows came and went while it was read.
    """

    range: Range
    rows: int
    source_rows: int
    files: list[PartFile]
    columns: dict[str, ColumnFacts]
    finer: dict[str, int]
    changed: bool = False


def in_order(finished: Iterable[FinishedRange]) -> list[FinishedRange]:
    """The ranges of a whole load in the order of their keys.

    Raises ValueError unless each begins where the one before it ends, from the first key to the last: then none is missing,
    and no row was read twice.
    """
    ranges = sorted(finished, key=lambda f: f.range.place)
    keyed = [f.range for f in ranges if f.range.kind == "keys"]
    if keyed:
        ends = [None, *(r.upper for r in keyed)]
        if [r.lower for r in keyed] != ends[:-1] or ends[-1] is not None or None in ends[1:-1]:
            raise ValueError(f"ranges do not join: {[str(r) for r in keyed]}")
    return ranges


def missing(finished: Iterable[Range]) -> list[Range]:
    """The ranges before, between and after those that are finished (all of kind `keys`); the whole where none is."""
    done = sorted(finished, key=lambda r: r.place)
    taken = {r.place for r in done}
    gaps: list[Range] = []
    place: Place = (0,)
    lower: Bound | None = None
    for each in done:
        if each.lower != lower:
            gaps.append(Range(place=between(place, taken), lower=lower, upper=each.lower))
        place, lower = each.place, each.upper
    if not done or lower is not None:
        gaps.append(Range(place=between(place, taken), lower=lower))
    return gaps
