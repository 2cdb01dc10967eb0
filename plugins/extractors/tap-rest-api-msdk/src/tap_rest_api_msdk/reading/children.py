"""Streams that are read for each record of another one: the values they take, and their walks one behind the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from singer_arrow.errors import SelectionRefused
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.errors import ShortLoad
from tap_rest_api_msdk.stream_choice import StreamChoice

_TAKEN = re.compile(r"\{(\w+)\}")
Values = Mapping[str, str]
ALONE: Sequence[Values] = ({},)  # of a stream without a parent


def taken(stream: StreamConfig) -> list[str]:
    """The columns of its parent that a stream takes, in order."""
    if stream.parent is None:
        return []
    texts = [stream.path, *(value for value in stream.params.values() if isinstance(value, str))]
    return sorted({name for text in texts for name in _TAKEN.findall(text)})


def of_parent(stream: StreamConfig, found: Sequence[Values] | None) -> Sequence[Values]:
    """The values that a stream is read for. Raises SelectionRefused where there are none because its parent was not read."""
    if found is None:
        raise SelectionRefused(
            f"stream {stream.name}: its parent {stream.parent} was not read in this run",
            safe="Nothing of this stream was read, Delta is as it was",
            action=f"select {stream.parent} too, and solve what it failed for",
        )
    return found


def check(child: StreamConfig, parent: StreamChoice) -> None:
    """Raises SelectionRefused where a parent cannot give what a child takes of it."""
    missing = sorted(set(taken(child)) - set(parent.columns))
    if missing:
        raise SelectionRefused(
            f"stream {child.name}: it takes {', '.join(missing)}, which its parent {parent.stream} does not have",
            action="take columns of the parent's schema that are selected",
        )
    if parent.is_incremental:
        raise SelectionRefused(
            f"stream {child.name}: its parent {parent.stream} is incremental, so that it would be read for new records only",
            action=f"set replication-method FULL_TABLE for {parent.stream} in the catalog, or remove its replication_key",
        )


def values(parts: Iterable[Path], columns: Sequence[str], most: int, parent: str) -> list[Values]:
    """The different values of columns in a parent's parts, as text, in the order of the parts. NULL is left out.

    Raises ShortLoad for more than `most`.
    """
    found: dict[tuple[str, ...], None] = {}
    for row in _rows(parts, columns):
        found[row] = None
        if len(found) > most:
            raise ShortLoad(
                f"stream {parent}: it has more than {most} records that other streams are read for",
                action="raise max_children, or read fewer records of it",
            )
    return [dict(zip(columns, row, strict=True)) for row in found]


def _rows(parts: Iterable[Path], columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(columns=list(columns)):
            for row in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                if None not in row:
                    yield tuple(_text(value) for value in row)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
