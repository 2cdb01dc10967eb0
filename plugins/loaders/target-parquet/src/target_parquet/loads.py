"""A stream's load on its way in: as parts a tap has finished, or as records that become parts here."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlparse

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from singer_arrow import documents, names, types
from singer_arrow.documents import Cursor, LoadDocument, Manifest, PartFile
from singer_arrow.errors import DamagedPart
from singer_arrow.facts import FactsOfColumn, utc_text
from singer_arrow.parts import CheckedPart, PartLimits, PartWriter, check_part, with_row_number
from singer_arrow.records import RecordDecoder
from target_parquet.errors import IncompleteLoad, MessageRefused
from target_parquet.messages import Message
from target_parquet.output_folder import OutputFolder
from target_parquet.settings import Settings

Bookmark = dict[str, Any] | None
_UNPROVEN = "the tap does not say how many rows its source has: completeness rests on its exit code"


class Load(Protocol):
    """One stream's load: takes messages, and becomes a manifest when it is complete."""

    stream: str

    def is_complete(self) -> bool:
        """Whether the tap has said, durably, that nothing is missing."""

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The manifest, every file of it in place. Raises IncompleteLoad or DamagedPart."""

    def close(self) -> None:
        """Called when the manifest is durable: removes what is no longer needed."""

    def abandon(self) -> None:
        """Leaves nothing of an incomplete load behind; the tap's own spool stays for its next try."""


class PartsLoad:
    """Parts of one of our taps: checked (name, hash, footer, rows), linked into place, counted against its load document."""

    def __init__(self, stream: str, output: OutputFolder) -> None:
        self.stream = stream
        self._output = output
        self._parts: dict[str, CheckedPart] = {}
        self._placed: list[Path] = []

    def take(self, part: CheckedPart) -> None:
        """Adopts one part; the same part told twice is the same part."""
        if self._parts and part.load_id != next(iter(self._parts.values())).load_id:
            raise MessageRefused(f"stream {self.stream}: parts of two loads came in one run ({part.path})")
        if part.path.name not in self._parts:
            self._placed.append(self._output.adopt(part.path, part.path.name, self.stream))
            self._parts[part.path.name] = part

    def _document_path(self) -> Path | None:
        for part in self._parts.values():
            return documents.document_path(part.path.parent, str(part.load_id))
        return None

    def is_complete(self) -> bool:
        """Whether the load document is there and names exactly the parts taken."""
        path = self._document_path()
        return path is not None and path.exists() and len(self._parts) == len(documents.read_load_document(path).files)

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The load document, placed. Raises IncompleteLoad without one, DamagedPart when it does not fit the parts."""
        path = self._document_path()
        if path is None or not path.exists():
            raise IncompleteLoad(f"stream {self.stream}: the tap ended before its load was complete")
        document = documents.read_load_document(path)
        self._check(document, path)
        placed = [msgspec.structs.replace(f, path=f"{names.folder(self.stream)}/{f.path}") for f in document.files]
        return documents.manifest_of(document, self._output.source, placed, bookmark, self._output.target)

    def _check(self, document: LoadDocument, path: Path) -> None:
        told = {f.path: (f.rows, f.bytes, f.sha256) for f in document.files}
        taken = {name: (p.rows, p.bytes, p.sha256) for name, p in self._parts.items()}
        if told != taken:
            differ = sorted(name for name in told.keys() | taken.keys() if told.get(name) != taken.get(name))
            raise DamagedPart(f"stream {self.stream}: {path} and the parts received differ in {', '.join(differ)}")
        if sum(p.rows for p in self._parts.values()) != document.rows:
            raise DamagedPart(f"stream {self.stream}: the parts' rows do not add up to the load's {document.rows}")
        expected = with_row_number(pa.schema([c.arrow() for c in document.schema]), document.row_number)
        for part in self._parts.values():
            if not part.schema.equals(expected):
                raise DamagedPart(f"stream {self.stream}: {part.path} has another schema than {path}")

    def close(self) -> None:
        """Empties the spool of this load: parts, load document, and what the tap kept to go on with."""
        for part in self._parts.values():
            part.path.unlink(missing_ok=True)
        path = self._document_path()
        if path is not None:
            for kept in path.parent.glob("*.json"):
                if names.load_of(kept.name) == names.load_of(path.name):
                    kept.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Takes back the links; the spool keeps the parts."""
        for path in self._placed:
            path.unlink(missing_ok=True)


class RecordsLoad:
    """RECORDs, or BATCH files of foreign taps, of one stream: complete only when the tap's output ends."""

    def __init__(self, schema: Message, output: OutputFolder, settings: Settings, run_id: str) -> None:
        self.stream = schema.stream
        self._output = output
        self._settings = settings
        self._run_id = run_id
        self._started = datetime.now(UTC)
        self._keys = schema.key_properties or []
        self._cursor = next(iter(schema.bookmark_properties or ()), None)
        self._source_types, arrow, json_columns = _declared(schema)
        self.schema = arrow
        self._decoder = RecordDecoder(self.stream, arrow, json_columns, settings.extra_fields == "ignore")
        self._waiting: list[Any] = []
        self._load_id = names.load_id(run_id, output.source, self.stream, self._started)
        self._writer: PartWriter | None = None
        self._row_number = names.row_number(arrow.names) if self._keys else None
        self._foreign: list[PartFile] = []
        self._facts: dict[str, FactsOfColumn] = {}

    def _open(self) -> PartWriter:
        folder = self._output.folder(self.stream)
        limits = PartLimits(part_rows=self._settings.file_size)
        return PartWriter(
            folder, self._load_id, self.schema, self._source_types, self._keys, limits=limits, row_number=self._row_number
        )

    def record(self, raw: bytes | msgspec.Raw) -> None:
        """Takes one record."""
        self._waiting.append(self._decoder.decode(raw))
        if len(self._waiting) >= self._settings.max_batch_size:
            self._flush()

    def _flush(self) -> None:
        self._writer = self._writer or self._open()
        self._writer.write(self._decoder.batch(self._waiting))
        self._waiting = []

    def lines(self, path: Path, compression: str | None) -> None:
        """Takes a JSON Lines file of a foreign tap's BATCH."""
        with gzip.open(path) if compression == "gzip" else path.open("rb") as file:
            for line in file:
                if line.strip():
                    self.record(line)

    def parquet(self, part: CheckedPart) -> None:
        """Adopts a Parquet file of a foreign tap: never rewritten, its facts taken row group by row group."""
        if self._foreign and not part.schema.equals(self.schema):
            raise MessageRefused(f"stream {self.stream}: {part.path} has another schema than the files before it")
        if not self._foreign:
            self.schema = part.schema
            documents.columns_of(self.stream, self.schema, {})
            self._facts = {f.name: FactsOfColumn(f.type) for f in self.schema}
        for batch in pq.ParquetFile(part.path).iter_batches():
            for name, facts in self._facts.items():
                facts.add(batch.column(name))
        name = names.part_name(self._load_id, f"{len(self._foreign) + 1:04d}", part.sha256)
        self._output.adopt(part.path, name, self.stream)
        self._foreign.append(PartFile(name, part.rows, part.bytes, part.sha256))

    def is_complete(self) -> bool:
        """Never before the tap's output has ended."""
        return False

    def manifest(self, bookmark: Bookmark) -> Manifest:
        """The manifest of everything received."""
        if self._foreign and (self._writer or self._waiting):
            raise MessageRefused(f"stream {self.stream}: records and Parquet files came in one load")
        files, facts = self._foreign, {name: f.result() for name, f in self._facts.items()}
        if not self._foreign:
            self._flush()
            assert self._writer is not None
            self._writer.close()
            files, facts = self._writer.files, self._writer.facts()
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
            schema=documents.columns_of(self.stream, self.schema, self._source_types),
            files=[msgspec.structs.replace(f, path=f"{names.folder(self.stream)}/{f.path}") for f in files],
            rows=sum(f.rows for f in files),
            source_rows=None,
            columns=facts,
            row_number=None if self._foreign else self._row_number,
            started_at=utc_text(self._started),
            ended_at=utc_text(datetime.now(UTC)),
            notes=[_UNPROVEN],
        )
        return documents.manifest_of(document, self._output.source, document.files, bookmark, self._output.target)

    def close(self) -> None:
        """Nothing is left to remove."""

    def abandon(self) -> None:
        """Drops the unfinished part and takes back the finished ones."""
        files = list(self._foreign)
        if self._writer:
            self._writer.abandon()
            files += self._writer.files
        for file in files:
            (self._output.folder(self.stream) / file.path).unlink(missing_ok=True)


def local_path(uri: str) -> Path:
    """The path of a `file://` URI of a BATCH. Raises MessageRefused for storage this target cannot reach."""
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file"):
        raise MessageRefused(
            f"BATCH file {uri} is not a file of this machine",
            action="set the tap's batch_config.storage.root to a file:// folder",
        )
    return Path(unquote(parsed.path))


def checked(uri: str) -> CheckedPart:
    """The checked part behind a URI."""
    return check_part(local_path(uri))


def _declared(message: Message) -> tuple[dict[str, str], pa.Schema, set[str]]:
    """Source types, Arrow schema and the columns that hold JSON, from a SCHEMA message."""
    properties: dict[str, Any] = json.loads(bytes(message.schema) or b"{}").get("properties", {})
    keys = set(message.key_properties or ())
    source_types, fields, json_columns = {}, [], set()
    for name, column in properties.items():
        arrow = types.of_json_schema(column)
        kinds = column.get("type", [])
        kinds = {kinds} if isinstance(kinds, str) else set(kinds)
        if "x-sql-datatype" not in column and arrow == pa.string() and kinds - {"null"} != {"string"}:
            json_columns.add(name)
        source_types[name] = str(column.get("x-sql-datatype", ""))
        fields.append(pa.field(name, arrow, nullable=name not in keys))
    return source_types, pa.schema(fields), json_columns


def _source_names(default_schema: str, stream: str) -> tuple[str, str]:
    """Schema and table of a stream of another tap; taps of databases name their streams `<schema>-<table>`."""
    schema, dash, table = stream.partition("-")
    return (default_schema, stream) if default_schema or not dash else (schema, table)
