"""Proof that a load has each key once: by order where keys come in order, else by a look at all of them, in flat memory."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from singer_arrow import compute as pc
from tap_rest_api_msdk.errors import Doubled

Key = tuple[object, ...]
_BUCKETS = 32
_TOGETHER = 4096  # hashes of a bucket that are written at once
_TOLD = 5


class KeyProof:
    """Watches the batches of a load go by. Keys that rise, or fall, from row to row are proven by that alone."""

    def __init__(self, stream: str, columns: Sequence[str], keeps_keys: bool = False) -> None:
        self._stream, self._columns = stream, list(columns)
        self._keeps = keeps_keys and bool(columns)
        self._kept: IO[bytes] | None = None  # the keys, in Arrow's stream format
        self._last: pa.RecordBatch | None = None
        self._rises = self._falls = True

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows; no key is NULL, for the converter takes no such record."""
        if not self._columns or not batch.num_rows:
            return
        keys = batch.select(self._columns)
        if self.is_proven:
            rows = pa.Table.from_batches([*([self._last] if self._last else []), keys]).combine_chunks()
            before, behind = rows.slice(0, rows.num_rows - 1), rows.slice(1)
            self._rises = self._rises and _all(_less(before, behind, self._columns))
            self._falls = self._falls and _all(_less(behind, before, self._columns))
        self._last = keys.slice(keys.num_rows - 1)
        if self._keeps:
            self._keep(keys)

    def _keep(self, keys: pa.RecordBatch) -> None:
        """Puts keys aside: only where their order proves nothing they are looked at again."""
        if self._kept is None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115  (gone with the object)
            self._writer = pa.ipc.new_stream(self._kept, keys.schema)
        self._writer.write_batch(keys)

    @property
    def is_proven(self) -> bool:
        """Whether the order so far shows that no key came twice."""
        return self._rises or self._falls

    def check(self) -> None:
        """For rows that are gone by now (`keeps_keys`). Raises Doubled where a key came more than once."""
        if self.is_proven or self._kept is None:
            return
        self._writer.close()
        self._kept.seek(0)
        hashes = Hashes()
        with pa.ipc.open_stream(self._kept) as batches:
            for batch in batches:
                hashes.add(_rows(batch, self._columns))
        if count := len(hashes.twice()):
            raise Doubled(f"stream {self._stream}: {count} keys came more than once, so that others may be missing")

    def doubles(self, parts: Iterable[Path]) -> list[str]:
        """The keys that the parts of the load hold more than once, as text, a few of them; empty where each is there once."""
        if self.is_proven or not self._columns:
            return []
        parts = list(parts)
        suspects = self.suspects(parts)
        seen: set[Key] = set()
        found: dict[Key, None] = {}
        for key in (key for keys in self._keys(parts) for key in keys if suspects and hash(key) in suspects):
            if key in seen:
                found[key] = None
            seen.add(key)
        return [", ".join(f"{n}={v}" for n, v in zip(self._columns, key, strict=True)) for key in list(found)[:_TOLD]]

    def suspects(self, parts: Iterable[Path]) -> set[int]:
        """The hashes of keys that the parts hold more than once."""
        hashes = Hashes()
        for keys in self._keys(parts):
            hashes.add(keys)
        return hashes.twice()

    def _keys(self, parts: Iterable[Path]) -> Iterator[Iterator[Key]]:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(columns=self._columns):
                yield _rows(batch, self._columns)


class Hashes:
    """Which of many 64-bit hashes occur twice: they are put aside by bucket, and sorted a bucket at a time."""

    def __init__(self) -> None:
        self._spill = tempfile.TemporaryFile()  # noqa: SIM115  (gone with the object, or when `twice` closes it)
        self._waiting = [array("q") for _ in range(_BUCKETS)]
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(_BUCKETS)]

    def add(self, keys: Iterable[Key]) -> None:
        """Takes more keys."""
        for key in keys:
            found = hash(key)
            number = found % _BUCKETS
            self._waiting[number].append(found)
            if len(self._waiting[number]) >= _TOGETHER:
                self._write(number)

    def twice(self) -> set[int]:
        """The hashes that came more than once. Nothing is added behind this."""
        found: set[int] = set()
        for number in range(_BUCKETS):
            self._write(number)
            hashes = array("q")
            for start, count in self._places[number]:
                self._spill.seek(start)
                hashes.frombytes(self._spill.read(count * hashes.itemsize))
            ordered = sorted(hashes)
            found.update(one for one, other in pairwise(ordered) if one == other)
        self._spill.close()
        return found

    def _write(self, number: int) -> None:
        self._places[number].append((self._spill.seek(0, 2), len(self._waiting[number])))
        self._waiting[number].tofile(self._spill)
        self._waiting[number] = array("q")


def _rows(keys: pa.RecordBatch, columns: Sequence[str]) -> Iterator[Key]:
    return zip(*(keys.column(name).to_pylist() for name in columns), strict=True)


def _less(a: pa.Table, b: pa.Table, columns: Sequence[str]) -> pa.ChunkedArray:
    """Row by row, whether a's key is less than b's, column after column."""
    *rest, last = columns
    found = pc.call("less", a[last], b[last])
    for name in reversed(rest):
        found = pc.call("or", pc.call("less", a[name], b[name]), pc.call("and", pc.call("equal", a[name], b[name]), found))
    return found


def _all(found: pa.ChunkedArray) -> bool:
    return pc.call("all", found).as_py() is not False
