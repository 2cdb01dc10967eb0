"""Parquet parts: written whole, named by their content, checked before anybody takes them over (docs/contracts.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from singer_arrow import compute as pc
from singer_arrow import durable, names
from singer_arrow.documents import ColumnFacts, PartFile
from singer_arrow.errors import DamagedPart, NameRefused
from singer_arrow.facts import FactsOfColumn

FOOTER_KEY = b"lighthouse.part"


class PartLimits(Struct, frozen=True):
    """When a part and a row group are full: rows, and bytes on disk (part) or in memory (row group)."""

    part_rows: int = 1_000_000
    part_bytes: int = 128 * 2**20
    group_rows: int = 65_536
    group_bytes: int = 32 * 2**20


class PartWriter(Struct, dict=True):
    """Writes the batches of one load, or of one range of it, as parts in `folder`; memory holds one row group.

    `key_columns` gives parts their min/max key when rows come in key order (`ordered`). `range_number` is the text of the
    range's place in the load, 4 digits or more: its parts are numbered `0007`, `0007.02`, `0007.03`; empty for a load
    that is read in one go, whose parts are numbered `0001`, `0002`. `row_number` names a column that the parts have beside the
    schema's: the number of each row in the load, from 1; it is for loads that are read in one go, and has no facts.
    `statistics` are the columns whose least and greatest value each row group says: parts are read whole, so that others
    need none, and they take a fifth of the time of writing.
    """

    folder: Path
    load_id: str
    schema: pa.Schema
    source_types: dict[str, str]
    key_columns: list[str] = field(default_factory=list)
    ordered: bool = False
    limits: PartLimits = PartLimits()
    range_number: str = ""
    row_number: str | None = None
    statistics: Sequence[str] = ()
    rows: int = 0
    files: list[PartFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._facts = {f.name: FactsOfColumn(f.type) for f in self.schema}
        self._written = with_row_number(self.schema, self.row_number)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self._part_rows = 0
        self._keys: list[list[str]] = []
        self._narrow = 0  # parts at the beginning that lack columns

    def write(self, batch: pa.RecordBatch) -> list[PartFile]:
        """Takes a batch of the load's schema; returns the parts that it filled, each already under its final name."""
        full, taken = [], 0
        while taken < batch.num_rows:
            piece = batch.slice(taken, self.limits.part_rows - self._part_rows - self._waiting_rows)
            taken += piece.num_rows
            self._waiting.append(piece)
            self._waiting_rows += piece.num_rows
            self._waiting_bytes += piece.nbytes
            if self._is_group():
                self._write_group()
            if self._part_rows >= self.limits.part_rows or self._part_bytes() >= self.limits.part_bytes:
                full.append(self._finish_part())
        return full

    def _is_group(self) -> bool:
        """Whether what waits fills a row group, or the part."""
        if self._waiting_rows >= self.limits.group_rows or self._waiting_bytes >= self.limits.group_bytes:
            return True
        return self._part_rows + self._waiting_rows >= self.limits.part_rows

    def take_over(self, files: Sequence[PartFile]) -> Iterator[pa.RecordBatch]:
        """Goes on behind finished parts of the same load; yields their rows. Raises DamagedPart for one that has changed."""
        for part in files:
            for batch in batches_of(self.folder, part, self.schema.names, self._written):
                for name, facts in self._facts.items():
                    facts.add(batch.column(name))
                self.rows += batch.num_rows
                yield batch
            self.files.append(part)

    def widen(self, schema: pa.Schema) -> None:
        """The load's columns from now on: those before, in their order, and new ones, which the rows so far have NULL in.

        `close` then writes the parts so far anew, under new names: `files` is right after it. Raises NameRefused where a new
        column has the name of the row number.
        """
        if schema.equals(self.schema):
            return
        if self.row_number and self.row_number.lower() in map(str.lower, schema.names):
            raise NameRefused(
                f"a new column is called {self.row_number}, as the one that numbers the load's rows",
                action="declare it in the stream's schema, with which the number has another name, or rename it at the source",
            )
        self._write_group()
        if self._writer:
            self._finish_part()
        self._narrow = len(self.files)
        self._facts |= {f.name: FactsOfColumn(f.type) for f in schema if f.name not in self._facts}
        self.schema = schema
        self._written = with_row_number(schema, self.row_number)

    def settle(self) -> None:
        """Writes what waits for a full row group, where more may not come soon: memory holds nothing of the load."""
        self._write_group()

    def close(self) -> list[PartFile]:
        """Finishes the last part, and returns it; a load without rows gets one part of zero rows, so that its schema travels."""
        self._write_group()
        last = [self._finish_part()] if self._writer or not self.files else []
        for place in range(self._narrow):
            self.files[place] = self._widened(self.files[place])
        self._narrow = 0
        return last

    def abandon(self) -> None:
        """Drops the unfinished part; finished ones stay."""
        if self._writer:
            self._writer.close()
            self._sink.close()
            self._temp().unlink(missing_ok=True)
            self._writer = None

    def facts(self) -> dict[str, ColumnFacts]:
        """The column facts over all rows written so far."""
        return {name: facts.result() for name, facts in self._facts.items()}

    @property
    def _number(self) -> str:
        """The number of the part being written."""
        return names.part_number(len(self.files) + 1, self.range_number)

    def _temp(self) -> Path:
        return durable.temp_path(self.folder / f"{self.load_id}-{self._number}.parquet")

    def _part_bytes(self) -> int:
        return self._sink.tell() if self._writer else 0

    def _open(self) -> pq.ParquetWriter:
        self._sink = pa.OSFile(str(self._temp()), "wb")
        few = [name for name in self.schema.names if any(repeats(batch.column(name)) for batch in self._waiting[:1])]
        return self._parquet(self._sink, few)

    def _parquet(self, to: pa.NativeFile | Path, few: Sequence[str]) -> pq.ParquetWriter:
        """A writer of a part whose columns of `few` different values have dictionaries."""
        return pq.ParquetWriter(
            to,
            self._written,
            compression="zstd",
            compression_level=1,
            use_dictionary=list(few) or False,
            write_statistics=list(self.statistics) or False,
        )

    def _write_group(self) -> None:
        if not self._waiting_rows:
            return
        self._writer = self._writer or self._open()
        table = pa.Table.from_batches(self._waiting, self.schema)
        for name, facts in self._facts.items():
            facts.add(table.column(name))
        if self.ordered and self.key_columns:
            self._keys += [self._key(table, row) for row in (0, table.num_rows - 1)]
        if self.row_number:
            numbers = pa.arange(self.rows + 1, self.rows + table.num_rows + 1)
            table = table.append_column(self._written.field(self.row_number), numbers)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self.rows += table.num_rows
        self._part_rows += table.num_rows
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def _widened(self, part: PartFile) -> PartFile:
        """A part written anew with all columns; the old one is gone."""
        old = self.folder / part.path
        named = names.parse_part_name(part.path)
        assert named is not None
        temp = durable.temp_path(self.folder / f"{self.load_id}-{named.number}.parquet")
        with pq.ParquetFile(old) as file:
            first = file.schema_arrow.names
            few = [n for n in first if file.num_row_groups and _has_dictionary(file.metadata.row_group(0), first.index(n))]
            with self._parquet(temp, few) as writer:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    lacking = {f.name: pa.nulls(table.num_rows, f.type) for f in self._written if f.name not in first}
                    columns = [lacking[f.name] if f.name in lacking else table.column(f.name) for f in self._written]
                    writer.write_table(pa.Table.from_arrays(columns, schema=self._written), row_group_size=max(table.num_rows, 1))
                writer.add_key_value_metadata({FOOTER_KEY.decode(): file.metadata.metadata[FOOTER_KEY].decode()})
        sha256 = durable.sha256_of(temp)
        final = self.folder / names.part_name(self.load_id, named.number, sha256)
        durable.publish(temp, final)
        old.unlink()
        return PartFile(final.name, part.rows, final.stat().st_size, sha256, part.min_key, part.max_key)

    def _key(self, table: pa.Table, row: int) -> list[str]:
        return [str(table.column(name)[row].as_py()) for name in self.key_columns]

    def _finish_part(self) -> PartFile:
        writer = self._writer or self._open()
        first, last = (self._keys[0], self._keys[-1]) if self._keys else (None, None)
        footer = {
            "load_id": self.load_id,
            "number": self._number,
            "min_key": first,
            "max_key": last,
            "source_types": self.source_types,
        }
        writer.add_key_value_metadata({FOOTER_KEY.decode(): json.dumps(footer)})
        writer.close()
        self._sink.close()
        temp = self._temp()
        sha256 = durable.sha256_of(temp)
        final = self.folder / names.part_name(self.load_id, self._number, sha256)
        durable.publish(temp, final)
        part = PartFile(final.name, self._part_rows, final.stat().st_size, sha256, first, last)
        self.files.append(part)
        self._writer, self._part_rows, self._keys = None, 0, []
        return part


def _has_dictionary(group: Any, column: int) -> bool:
    return bool(group.column(column).has_dictionary_page)


def with_row_number(schema: pa.Schema, row_number: str | None) -> pa.Schema:
    """The schema of a load's parts: the load's own, and behind it the column that numbers the rows, where there is one."""
    return schema.append(pa.field(row_number, pa.int64(), nullable=False)) if row_number else schema


def repeats(values: pa.Array, sample: int = 8_192) -> bool:
    """Whether values come often enough for a dictionary: one of values that hardly repeat costs time, memory and bytes."""
    first = values.slice(0, sample)
    return not pa.types.is_floating(values.type) and pc.count_distinct(first).as_py() * 2 < len(first)


class CheckedPart(Struct, frozen=True):
    """A part whose name, hash and footer agree: rows, bytes, hex sha256, Arrow schema, and the footer's facts (or None)."""

    path: Path
    rows: int
    bytes: int
    sha256: str
    schema: pa.Schema
    load_id: str | None
    source_types: dict[str, str]


def batches_of(folder: Path, part: PartFile, columns: Sequence[str], schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a finished part. Raises DamagedPart where it has changed, or has not this schema."""
    path = folder / part.path
    found = check_part(path)
    if found.sha256 != part.sha256 or not (schema is None or found.schema.equals(schema)):
        raise DamagedPart(f"part {path} is not one of this load any more")
    yield from pq.ParquetFile(path).iter_batches(columns=list(columns))


def check_part(path: Path) -> CheckedPart:
    """Reads a part's bytes once for the hash, and its footer. Raises DamagedPart, naming the file, when they do not agree.

    A Parquet file of a foreign tap has neither our name nor our footer: its hash is taken, nothing is compared.
    """
    try:
        sha256 = durable.sha256_of(path)
        footer = pq.read_metadata(path)
    except FileNotFoundError as error:
        raise DamagedPart(f"part {path} does not exist") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedPart(f"part {path} is not a Parquet file: {error}") from error
    named = names.parse_part_name(path.name)
    own = json.loads((footer.metadata or {}).get(FOOTER_KEY, b"{}"))
    if own and (not named or (named.load_id, named.sha256) != (own["load_id"], sha256[:12])):
        raise DamagedPart(f"part {path} does not hold what its name says (sha256 {sha256[:12]}…, load {own['load_id']})")
    schema = footer.schema.to_arrow_schema().remove_metadata()
    return CheckedPart(
        path, footer.num_rows, path.stat().st_size, sha256, schema, own.get("load_id"), own.get("source_types", {})
    )
