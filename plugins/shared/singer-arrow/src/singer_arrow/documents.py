"""The load document and the manifest: what a load is, in JSON (docs/contracts.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from singer_arrow import durable, names, types
from singer_arrow.errors import DamagedPart
from singer_arrow.facts import ColumnFacts

VERSION = 1
Mode = Literal["overwrite", "append", "merge"]


class Column(msgspec.Struct):
    """A column: its name in the source and in Delta, its Arrow type as text, and the source's own type."""

    name: str
    column: str
    type: str
    nullable: bool
    source_type: str

    def arrow(self) -> pa.Field:
        """The Arrow field of this column."""
        return pa.field(self.name, types.type_of(self.type), self.nullable)


class Cursor(msgspec.Struct, rename={"from_": "from"}):
    """The replication key and the window a load reads: from_ < column <= to; None for an open end."""

    column: str
    from_: str | None
    to: str | None


class PartFile(msgspec.Struct):
    """One Parquet part; `path` is relative to the document's folder (load document) or the source's folder (manifest)."""

    path: str
    rows: int
    bytes: int
    sha256: str
    min_key: list[str] | None = None
    max_key: list[str] | None = None


class LoadDocument(msgspec.Struct, kw_only=True):
    """What a tap says of a complete load. Rows are counts, times are UTC text, bytes are of the Parquet files."""

    version: int = VERSION
    load_id: str
    run_id: str
    stream: str
    source_schema: str
    source_table: str
    mode: Mode
    key_columns: list[str]
    cursor: Cursor | None
    schema: list[Column]
    files: list[PartFile]
    rows: int
    source_rows: int | None
    columns: dict[str, ColumnFacts]
    dead_letters: int = 0
    started_at: str
    ended_at: str
    notes: list[str] = []


class Manifest(msgspec.Struct, kw_only=True):
    """What a target stages for the later steps: the load document, placed, named and with the stream's bookmark."""

    version: int = VERSION
    load_id: str
    run_id: str
    source: str
    stream: str
    table: str
    mode: Mode
    key_columns: list[str]
    cursor: Cursor | None
    schema: list[Column]
    files: list[PartFile]
    rows: int
    source_rows: int | None
    columns: dict[str, ColumnFacts]
    dead_letters: int
    bookmark: dict[str, Any] | None
    started_at: str
    ended_at: str
    notes: list[str]


def columns_of(stream: str, schema: pa.Schema, source_types: dict[str, str]) -> list[Column]:
    """The manifest's columns of an Arrow schema. Raises NameRefused or TypeRefused, naming stream and column."""
    in_delta = names.column_names(stream, schema.names)
    return [Column(f.name, in_delta[f.name], types.type_text(f.type), f.nullable, source_types.get(f.name, "")) for f in schema]


def manifest_of(document: LoadDocument, source: str, files: list[PartFile], bookmark: dict[str, Any] | None) -> Manifest:
    """The manifest of a complete load whose files now stand in the folder of `source`."""
    return Manifest(
        load_id=document.load_id,
        run_id=document.run_id,
        source=source,
        stream=document.stream,
        table=names.table_name(document.source_schema, document.source_table),
        mode=document.mode,
        key_columns=document.key_columns,
        cursor=document.cursor,
        schema=document.schema,
        files=files,
        rows=document.rows,
        source_rows=document.source_rows,
        columns=document.columns,
        dead_letters=document.dead_letters,
        bookmark=bookmark,
        started_at=document.started_at,
        ended_at=document.ended_at,
        notes=document.notes,
    )


def document_path(folder: Path, load_id: str) -> Path:
    """Where a tap writes the load document: beside the load's parts."""
    return folder / f"{load_id}{names.LOAD_DOCUMENT_SUFFIX}"


def write(path: Path, document: LoadDocument | Manifest) -> None:
    """Writes a document whole and durably, indented for people."""
    durable.write_bytes(path, msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def read_load_document(path: Path) -> LoadDocument:
    """Reads a load document. Raises DamagedPart naming the file when it is not one of this version."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=LoadDocument)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedPart(f"{path} is not a load document: {error}") from error
    if document.version != VERSION:
        raise DamagedPart(f"{path} is a load document of version {document.version}; this program reads {VERSION}")
    return document
