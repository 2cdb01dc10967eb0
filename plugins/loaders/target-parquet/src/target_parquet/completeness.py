"""Whether a tap has said that a stream is complete (docs/contracts.md, RECORDs of any tap).

A target does not learn how its tap ended: its input ends either way. What it does see are STATE messages, which a tap sends when
what came before is settled. What singer-sdk 0.40 to 0.54 sends decides the details: `Stream._sync_records` (a STATE after every
10,000th record, whatever follows), `_sync_batches` (one after every BATCH), `helpers/_state.py` (what a bookmark holds while its
stream is being read), `_sync_children` (a child's STATE between two records of its parent).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

_BEING_READ = ("progress_markers", "starting_replication_value", "replication_key_signpost")  # the SDK removes them at the end
_EVERY = 10_000  # records between two STATEs of the SDK


class Verdict(Enum):
    """What is known of a stream: the tap said that it is complete; that it is not; or neither."""

    COMPLETE = "complete"
    UNFINISHED = "unfinished"
    UNSAID = "unsaid"


class Testimony(Struct):
    """What a tap has said of one stream so far.

    `has_cursor`: the stream is incremental, so that a bookmark tells how far its records go. `is_parent`: records of another
    stream came between its own.
    """

    stream: str
    has_cursor: bool = False
    records: int = 0
    is_parent: bool = False
    verdict: Verdict = Verdict.UNSAID

    def hear(self, state: Any, is_last: bool, by_batch: bool) -> None:
        """A STATE. `is_last`: the newest record or BATCH before it is this stream's; `by_batch`: and was a BATCH."""
        said = state if isinstance(state, Mapping) else {}
        bookmarks = said.get("bookmarks")
        bookmark = bookmarks.get(self.stream) if isinstance(bookmarks, Mapping) else None
        if said.get("currently_syncing") == self.stream or _is_being_read(bookmark):
            self.verdict = Verdict.UNFINISHED
            return
        if self.has_cursor or "currently_syncing" in said:
            self.verdict = Verdict.COMPLETE
            return
        is_interim = is_last and (by_batch or self.records % _EVERY == 0)
        is_of_child = self.is_parent and not is_last
        self.verdict = Verdict.UNSAID if is_interim or is_of_child else Verdict.COMPLETE


class Hearing:
    """The testimonies of a run; told of every record, BATCH and STATE, in their order."""

    def __init__(self) -> None:
        self._of: dict[str, Testimony] = {}
        self._schemas: list[str] = []  # in the order of their first SCHEMA
        self.last = ""  # the stream of the newest record or BATCH
        self._by_batch = False

    def of(self, stream: str) -> Testimony:
        """What is known of a stream."""
        return self._of[stream]

    def on_schema(self, stream: str, has_cursor: bool) -> None:
        """A SCHEMA."""
        if stream not in self._of:
            self._of[stream] = Testimony(stream)
            self._schemas.append(stream)
        self._of[stream].has_cursor = has_cursor

    def on_data(self, stream: str, by_batch: bool = False) -> Testimony:
        """A record or BATCH, the first one of its stream or behind that of another one, or behind a STATE."""
        known = self._of[stream]
        if self.last and self.last != stream:
            # of a parent the SDK sends SCHEMA, then its children's SCHEMA and records, and only then its first record
            nested = self._schemas.index(self.last) > self._schemas.index(stream)
            known.is_parent = known.is_parent or known.records > 0 or nested
        known.verdict = Verdict.UNSAID
        self.last, self._by_batch = stream, by_batch
        return known

    def on_state(self, state: Any) -> None:
        """A STATE: it may settle every stream that has records."""
        for known in self._of.values():
            if known.records and known.verdict is not Verdict.COMPLETE:
                known.hear(state, known.stream == self.last, self._by_batch)


def _is_being_read(bookmark: Any) -> bool:
    """Whether the SDK has not finished with a bookmark, or one of its partitions."""
    if not isinstance(bookmark, Mapping):
        return False
    partitions = bookmark.get("partitions")
    parts = [bookmark, *(each for each in (partitions if isinstance(partitions, list) else ()) if isinstance(each, Mapping))]
    return any(marker in part for part in parts for marker in _BEING_READ)
