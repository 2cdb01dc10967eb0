"""Parents and children of one run: what children take, as soon as their parents are read, or why they cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from singer_arrow.errors import ArrowSingerError, Failure, SelectionRefused
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.errors import TapError
from tap_rest_api_msdk.reading.children import ALONE, Taking, Values
from tap_rest_api_msdk.stream_choice import StreamChoice


class Families:
    """Of the streams of a run, of which parents are listed before their children. `most`: values that one child is read for."""

    def __init__(self, streams: Sequence[StreamConfig], most: int) -> None:
        self._streams, self._most = streams, most
        self._found: dict[str, Sequence[Values]] = {}
        self._refused: dict[str, Failure] = {}

    def values(self, stream: StreamConfig) -> Sequence[Values]:
        """For which values a stream is read. Raises SelectionRefused where its parent was not, or what its parent cannot give."""
        if stream.parent is None:
            return ALONE
        if stream.name in self._refused:
            raise self._refused[stream.name]
        if stream.name not in self._found:
            raise SelectionRefused(
                f"stream {stream.name}: its parent {stream.parent} was not read in this run",
                safe="Nothing of this stream was read, Delta is as it was",
                action=f"select {stream.parent} too, and solve what it failed for",
            )
        return self._found[stream.name]

    def parent(self, choice: StreamChoice) -> Parent:
        """A stream whose rows will be shown, since it may have children."""
        takings: dict[str, Taking] = {}
        for child in self._streams:
            if child.parent == choice.stream:
                taking = self._unless_refused(child.name, partial(Taking, child, choice, self._most))
                takings |= {child.name: taking} if taking else {}
        return Parent(takings, self._found, self._unless_refused)

    def _unless_refused(self, child: str, do: Callable[[], Any]) -> Any:
        """What is done for a child; None where it is refused, now or before: that is the child's failure, not its parent's."""
        if child in self._refused:
            return None
        try:
            return do()
        except (TapError, ArrowSingerError) as error:
            self._refused[child] = error
            return None


class Parent:
    """Shown all rows of one stream, gives its children what they take of them; nothing before it `is_whole`."""

    def __init__(
        self, takings: dict[str, Taking], found: dict[str, Sequence[Values]], guarded: Callable[[str, Callable[[], Any]], Any]
    ) -> None:
        self._takings, self._found, self._guarded = takings, found, guarded

    def add(self, batch: pa.RecordBatch) -> None:
        """Shows the next rows."""
        for child, taking in self._takings.items():
            self._guarded(child, partial(taking.add, batch))

    def add_parts(self, parts: Iterable[Path]) -> None:
        """Shows the rows of finished parts, which may be gone afterwards."""
        for batch in self._read(parts):
            self.add(batch)

    def _read(self, parts: Iterable[Path]) -> Iterator[pa.RecordBatch]:
        columns = sorted({name for taking in self._takings.values() for name in taking.columns})
        for part in parts if columns else ():
            yield from pq.ParquetFile(part).iter_batches(columns=columns)

    def is_whole(self) -> None:
        """Says that there are no more rows, and that the stream is complete."""
        self._found |= {child: taking.values for child, taking in self._takings.items()}
