"""Order tables as JSON records, encoded once column by column, so that a page is one slice of bytes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_TO_ESCAPE = r'["\\\x00-\x1f]'


@dataclass(frozen=True)
class EncodedTable:
    """All records of a table as `{…},{…},`; `ends[i]` is where record i ends, in bytes, its comma included."""

    content: memoryview
    ends: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """The number of records."""
        return len(self.ends)

    def records(self, offset: int, limit: int) -> memoryview:
        """The records [offset, offset + limit) joined by commas; empty beyond the end."""
        last = min(offset + limit, self.rows)
        if offset >= last:
            return self.content[:0]
        start = int(self.ends[offset - 1]) if offset else 0
        return self.content[start : int(self.ends[last - 1]) - 1]

    def page(self, offset: int, limit: int) -> bytes:
        """`{"data":[…],"offset":…,"limit":…,"total":N}` of the records [offset, offset + limit)."""
        tail = f'],"offset":{offset},"limit":{limit},"total":{self.rows}}}'.encode()
        return b"".join((b'{"data":[', self.records(offset, limit), tail))


def encode(table: pa.Table) -> EncodedTable:
    """Encodes every record of a table (bool, int, decimal, timestamp[us] without zone, string; NULL anywhere)."""
    pieces: list[pa.Array | pa.Scalar] = []
    for number, name in enumerate(table.column_names):
        pieces.append(_large(("{" if number == 0 else ",") + msgspec.json.encode(name).decode() + ":"))
        values = _json_texts(table.column(name).combine_chunks()).cast(pa.large_string())
        pieces.append(pc.fill_null(values, _large("null")))
    lines = pc.binary_join_element_wise(*pieces, _large("},"), _large(""))
    _, offsets, content = lines.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[lines.offset + 1 : lines.offset + 1 + len(lines)]
    return EncodedTable(memoryview(content), ends)


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _json_texts(column: pa.Array) -> pa.Array:
    """Each value as its JSON text; NULL stays NULL."""
    if pa.types.is_string(column.type):
        return _quoted(column)
    texts = pc.cast(column, pa.string())
    if pa.types.is_timestamp(column.type):
        texts = pc.replace_substring(texts, " ", "T")
        return _wrapped(pc.replace_substring_regex(texts, r"\.0+$", ""))
    return texts


def _quoted(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, _TO_ESCAPE)).as_py():
        return _wrapped(column)
    distinct = column.dictionary_encode()
    escaped = [msgspec.json.encode(text).decode() for text in distinct.dictionary.to_pylist()]
    return pa.array(escaped, pa.string()).take(distinct.indices)


def _wrapped(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")
