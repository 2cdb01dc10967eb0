"""Which stream is being read, in the state of a tap that sends RECORDs, so that its end cannot be mistaken.

`currently_syncing` is singer-python's (its `bookmarks.py`). The SDK leaves it alone, and sends a state only where it changed: the
name is in every STATE that it sends while the stream is read, those of a tap that is ended by a signal among them, and the one
at the end of the stream differs from them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

KEY = "currently_syncing"
Record = TypeVar("Record")


def marked(state: Any, stream: str, records: Iterable[Record]) -> Iterator[Record]:
    """The records of a stream; the tap's state, a dictionary, names the stream until the last one was taken, and then none."""
    state[KEY] = stream
    yield from records
    state[KEY] = None
