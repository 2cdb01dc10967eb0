"""Streams that are read for each record of another one: the values that they take of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

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


class Taking:
    """Takes, from the rows of a parent as they go by, the values that one child is read for: each once, in their order.

    NULL is left out. Raises SelectionRefused where the parent does not have them, `add` ShortLoad for more than `most`.
    """

    def __init__(self, child: StreamConfig, parent: StreamChoice, most: int) -> None:
        check(child, parent)
        self.columns = taken(child)
        self._parent, self._most = parent.stream, most
        self._found: dict[tuple[str, ...], None] = {}

    @property
    def values(self) -> list[Values]:
        """The values so far, as text."""
        return [dict(zip(self.columns, row, strict=True)) for row in self._found]

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows."""
        for row in zip(*(batch.column(name).to_pylist() for name in self.columns), strict=True):
            if None not in row:
                self._found[tuple(text(value) for value in row)] = None
            if len(self._found) > self._most:
                raise ShortLoad(
                    f"stream {self._parent}: it has more than {self._most} records that other streams are read for",
                    action="raise max_children, or read fewer records of it",
                )


def text(value: object) -> str:
    """A value as paths and parameters hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()  # as it came
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
