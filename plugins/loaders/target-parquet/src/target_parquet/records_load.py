"""A stream's load of RECORDs, or of BATCH files of foreign taps: it becomes parts here, and is complete when the tap says so."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from singer_arrow import declared, documents, names
from singer_arrow.converter import RecordConverter
from singer_arrow.dead_letters import DeadLetters
from singer_arrow.declared import Declared
from singer_arrow.documents import Cursor, LoadDocument, Manifest, PartFile
from singer_arrow.errors import DamagedPart
from singer_arrow.facts import FactsOfColumn, utc_text
from singer_arrow.lines import Bar
from singer_arrow.parts import PartLimits, PartWriter, check_part
from target_parquet.completeness import Testimony, Verdict
from target_parquet.errors import IncompleteLoad, MessageRefused
from target_parquet.loads import Bookmark
from target_parquet.messages import Message, chunks
from target_parquet.output_folder import OutputFolder
from target_parquet.settings import Settings

_SAID = "the tap does not say how many rows its source has, but that this stream is complete"
_UNSAID = "the tap does not say that this stream is complete: it rests on the tap's exit code (complete_without_state)"


class RecordsLoad:
    """Takes the records of one stream; `testimony` is what the tap has said of it."""

    def __init__(self, schema: Message, testimony: Testimony, output: OutputFolder, settings: Settings, run_id: str) -> None:
        """Raises TypeRefused, NameRefused or MessageRefused for a SCHEMA that cannot be."""
        self.stream = schema.stream
        self.testimony = testimony
        self._output, self._settings, self._run_id = output, settings, run_id
        self._started = datetime.now(UTC)
        self._load_id = names.load_id(run_id, output.source, self.stream, self._started)
        self._keys = schema.key_properties or []
        self._cursor = next(iter(schema.bookmark_properties or ()), None)
        columns = columns_of(schema)
        self._converter = RecordConverter(self.stream, columns, settings.on_schema_drift)
        self._schema = self._converter.schema
        self._source_types = {column.name: column.source_type for column in columns}
        self._comments = _comments_of(schema)
        self._row_number = names.row_number(self._schema.names) if self._keys else None
        self._dead = DeadLetters(output.root, self._load_id, self.stream, settings.max_dead_letters, _secret(columns))
        self._left_out = 0
        self._waiting: list[msgspec.Raw] = []
        self._taken = 0  # records before those that wait
        self._bar = Bar(self.stream)
        self._writer: PartWriter | None = None
        self._foreign: list[PartFile] = []
        self._facts: dict[str, FactsOfColumn] = {}
        self._is_given_up = False

    @staticmethod
    def check(schema: Message) -> None:
        """Raises what the constructor does for a SCHEMA that cannot be."""
        columns_of(schema)

    def declare(self, schema: Message) -> None:
        """A SCHEMA that came again: columns may come with it. Raises MessageRefused where others or the key changed."""
        if (schema.key_properties or []) != self._keys:
            raise MessageRefused(f"stream {self.stream}: its key changed during the run", action="run again")
        known, new = {column.name: column for column in self._converter.columns}, []
        for column in columns_of(schema):
            before = known.get(column.name)
            if before is None:
                new.append(column)
            elif (before.field.type, before.is_json) != (column.field.type, column.is_json):
                raise MessageRefused(
                    f"stream {self.stream}: its SCHEMA changed during the run: {column.name} was {before.field.type} and is "
                    f"{column.field.type}",
                    action="run again",
                )
        if new:
            self.flush()
            self._dead.mask(_secret(new))
            self._comments |= _comments_of(schema)
            self._converter.declare(new)
            self._source_types |= {column.name: column.source_type for column in new}

    def record(self, raw: msgspec.Raw) -> None:
        """Takes one record. Raises TooManyDeadLetters, or NameRefused for a column that `evolve` cannot add."""
        self._waiting.append(raw)
        if len(self._waiting) >= self._settings.max_batch_size:
            self.flush()

    def flush(self) -> None:
        """Writes the records that wait. Raises what `record` does."""
        records, self._waiting = self._waiting, []
        if not records:
            return
        converted = self._converter.convert(records)
        self._writer = self._writer or self._open()
        self._writer.widen(self._converter.schema)
        self._writer.write(converted.batch)
        self._left_out += len(converted.left_out)
        self._dead.take(converted.rejected, first=self._taken + 1)
        self._taken += len(records)
        self._bar.move(self._taken)

    def rest(self) -> None:
        """Writes all that waits, while other streams are being read. Raises what `record` does."""
        self.flush()
        if self._writer:
            self._writer.settle()

    def _open(self) -> PartWriter:
        return PartWriter(
            self._output.folder(self.stream),
            self._load_id,
            self._schema,
            self._source_types,
            self._keys,
            limits=PartLimits(part_rows=self._settings.file_size),
            row_number=self._row_number,
        )

    def lines(self, path: Path, compression: str | None) -> None:
        """Takes a JSON Lines file of a foreign tap's BATCH. Raises what `record` does, and DamagedPart for one that is torn."""
        if compression not in (None, "", "none", "gzip"):
            raise MessageRefused(
                f"stream {self.stream}: a BATCH of JSON Lines came in the compression {compression!r}",
                action="let the tap write gzip or none (batch_config.encoding.compression)",
            )
        for chunk in _chunks_of(path, self.stream, compression == "gzip"):
            for record in _records(chunk):
                self.record(record)

    def parquet(self, path: Path) -> None:
        """Adopts a Parquet file of a foreign tap: never rewritten, its facts taken row group by row group.

        Raises DamagedPart for what is none, and for one of our taps' that is named otherwise; MessageRefused for one that lacks
        columns of the key, or has other columns than those before it.
        """
        part = check_part(path)
        if self._foreign and not part.schema.equals(self._schema):
            raise MessageRefused(f"stream {self.stream}: {part.path} has another schema than the files before it")
        if not self._foreign:
            self._schema = part.schema
            _refuse_unknown_keys(self.stream, self._keys, self._schema.names, str(part.path))
            documents.columns_of(self.stream, self._schema, {})
            self._facts = {f.name: FactsOfColumn(f.type) for f in self._schema}
        for batch in pq.ParquetFile(part.path).iter_batches():
            for name, facts in self._facts.items():
                facts.add(batch.column(name))
        name = names.part_name(self._load_id, f"{len(self._foreign) + 1:04d}", part.sha256)
        self._output.adopt(part.path, name, self.stream)
        self._foreign.append(PartFile(name, part.rows, part.bytes, part.sha256))

    def is_complete(self) -> bool:
        """Never before the tap's output has ended: records may follow whatever was said."""
        return False

    @property
    def is_proven(self) -> bool:
        """Whether the tap has said that the stream is complete, or need not say it."""
        verdict = self.testimony.verdict
        return verdict is Verdict.COMPLETE or (verdict is Verdict.UNSAID and self._settings.complete_without_state)

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The manifest of everything received. Raises IncompleteLoad where the tap has not said that this is all."""
        if not self.is_proven:
            raise _incomplete(self.testimony)
        self.flush()
        self._bar.end(self._taken)
        if self._foreign and self._writer:
            raise MessageRefused(f"stream {self.stream}: records and Parquet files came in one load")
        files, facts = self._foreign, {name: f.result() for name, f in self._facts.items()}
        if not self._foreign:
            writer = self._writer = self._writer or self._open()
            writer.close()
            files, facts, self._schema = writer.files, writer.facts(), writer.schema
        schema, table = _source_names(self._settings.default_schema, self.stream)
        document = LoadDocument(
            load_id=self._load_id,
            run_id=self._run_id,
            stream=self.stream,
            source_schema=schema,
            source_table=table,
            mode="overwrite" if not self._cursor else "merge" if self._keys else "append",
            key_columns=self._keys,
            cursor=Cursor(self._cursor, None, None) if self._cursor else None,
            schema=documents.columns_of(self.stream, self._schema, self._source_types, comments=self._comments),
            files=[msgspec.structs.replace(f, path=f"{names.folder(self.stream)}/{f.path}") for f in files],
            rows=sum(f.rows for f in files),
            source_rows=None,
            columns=facts,
            dead_letters=self._dead.count,
            left_out=self._left_out,
            drift=self._converter.drift,
            row_number=None if self._foreign else self._row_number,
            started_at=utc_text(self._started),
            ended_at=utc_text(datetime.now(UTC)),
            notes=[_SAID if self.testimony.verdict is Verdict.COMPLETE else _UNSAID, *self._converter.notes],
        )
        return documents.manifest_of(document, self._output.source, document.files, bookmark, self._output.target)

    def close(self) -> None:
        """Nothing is left to remove."""

    def abandon(self) -> None:
        """Drops the unfinished part and takes back the finished ones; dead letters stay where a message names them."""
        self._bar.end(self._taken)
        files = list(self._foreign)
        if self._writer:
            self._writer.abandon()
            files += self._writer.files
        for file in files:
            (self._output.folder(self.stream) / file.path).unlink(missing_ok=True)
        if self._dead.count <= self._settings.max_dead_letters:
            self._dead.discard()


_RAW = msgspec.json.Decoder(msgspec.Raw)


def _records(chunk: bytes) -> Sequence[msgspec.Raw]:
    """The records of whole lines; a line that is no JSON is passed on as it is, for the converter to say so."""
    try:
        return _RAW.decode_lines(chunk)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return [msgspec.Raw(line) for line in chunk.split(b"\n") if line.strip()]


def _chunks_of(path: Path, stream: str, is_gzip: bool) -> Iterator[bytes]:
    """Whole lines of a file. Raises DamagedPart, naming it, where it is not there or not what its BATCH says."""
    try:
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            yield from chunks(file)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DamagedPart(f"stream {stream}: the file {path} of a BATCH cannot be read: {reason}") from error


def _secret(columns: Iterable[Declared]) -> list[str]:
    return [column.name for column in columns if column.is_secret]


def _comments_of(schema: Message) -> dict[str, str]:
    return declared.comments(json.loads(bytes(schema.schema)))


def _refuse_unknown_keys(stream: str, keys: Iterable[str], columns: Collection[str], where: str) -> None:
    unknown = [name for name in keys if name not in columns]
    if unknown:
        raise MessageRefused(
            f"stream {stream}: its key ({', '.join(unknown)}) is not among the columns of {where} ({', '.join(columns)})",
            action="select these columns in the tap, or correct the key that it sends (key_properties)",
        )


def columns_of(schema: Message) -> list[Declared]:
    """The columns that a SCHEMA declares. Raises TypeRefused, or MessageRefused for one without columns, or without its key."""
    try:
        found = json.loads(bytes(schema.schema) or b"{}")
    except (ValueError, RecursionError) as error:
        raise MessageRefused(f"stream {schema.stream}: its SCHEMA cannot be read: {error}") from None
    columns = declared.columns(found, not_null=schema.key_properties or ()) if isinstance(found, dict) else []
    if not columns:
        raise MessageRefused(f"stream {schema.stream}: its SCHEMA declares no columns")
    _refuse_unknown_keys(schema.stream, schema.key_properties or (), [column.name for column in columns], "its SCHEMA")
    return columns


def _incomplete(said: Testimony) -> IncompleteLoad:
    """Why a stream is not staged, and what to do about it."""
    if said.verdict is Verdict.UNFINISHED:
        why = "its last STATE says that the stream was still being read"
    else:
        why = "no STATE after the last of them says that these are all"
    return IncompleteLoad(
        f"stream {said.stream}: the tap ended before its load was complete: {said.records:,} records or BATCHes came, and {why}",
        safe="Nothing of this load is staged",
        action="if the tap failed, see why in its own lines above, and run again; if it did not, it is one that ends a stream "
        "without a STATE (docs/how-to-add-a-source.md): set complete_without_state: true in the loader's config",
    )


def _source_names(default_schema: str, stream: str) -> tuple[str, str]:
    """Schema and table of a stream of another tap; taps of databases name their streams `<schema>-<table>`."""
    schema, dash, table = stream.partition("-")
    return (default_schema, stream) if default_schema or not dash else (schema, table)
