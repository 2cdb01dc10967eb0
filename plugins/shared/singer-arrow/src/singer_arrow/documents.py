"""What the steps hand to each other, in JSON: load document, manifest, published document, ledger row, and what reconcile
compares (docs/contracts.md).

The models are the one declaration of these documents: the JSON Schema files in `schemas/` are written from them. Importing
this module does not import pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from singer_arrow import durable, names
from singer_arrow.errors import DamagedPart

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
POSITION = ("replication_key", "replication_key_value", "change_version", "again")  # in a bookmark: up to where a stream is read
Mode = Literal["overwrite", "append", "merge", "repair"]
Status = Literal["applied", "already", "superseded", "refused", "damaged", "failed", "blocked"]
DONE = ("applied", "already", "superseded")  # the statuses of loads that are in Delta, or needless there
LedgerStatus = Literal["applied", "superseded", "refused"]

Version = Annotated[int, Meta(extra_json_schema={"const": VERSION})]
Count = Annotated[int, Meta(ge=0)]
LoadId = Annotated[str, Meta(pattern=f"^{names.LOAD_ID}$")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="hex digest")]
UtcText = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", description="UTC, as 2026-11-24T16:12:24.000000Z")
]
Bookmark = Annotated[
    dict[str, Any] | None,
    Meta(description='What Singer\'s state["bookmarks"][stream] holds once this load is in Delta; null for none.'),
]
SourceRows = Annotated[int | None, Meta(description="null where the source cannot say")]
TableRows = Annotated[
    int | None,
    Meta(description="rows of the whole table when the load began, by the source's own estimate; null where it has none"),
]
RowNumber = Annotated[
    str | None,
    Meta(
        description="A column of the parts, int64 and not among `schema`, that numbers the load's rows in the order they were "
        "read: of two rows with one key the later counts. null for none."
    ),
]
Collation = Annotated[
    str | None, Meta(description="By which the source compares this text column; null: byte by byte, or not known.")
]
Comment = Annotated[str, Meta(description="The source's own description of it; empty where it has none.")]
Ledger = Annotated[str, Meta(description="The ledger's own id, a UUID: another one is another ledger")]


class ColumnFacts(msgspec.Struct, omit_defaults=True):
    """The facts of one column over all rows of a load: numbers as exact text, `length` in bytes."""

    non_null: int = 0
    sum: str | None = None
    min: str | None = None
    max: str | None = None
    length: int | None = None
    nan: int | None = None


class Column(msgspec.Struct):
    """A column: its name in the source and in Delta, its Arrow type as text, and the source's own type."""

    name: str
    column: str
    type: str
    nullable: bool
    source_type: str
    collation: Collation = None
    comment: Comment = ""

    def arrow(self) -> pa.Field:
        """The Arrow field of this column. Raises TypeRefused for a type outside the contract."""
        import pyarrow as pa

        from singer_arrow import types

        return pa.field(self.name, types.type_of(self.type), self.nullable)


class Cursor(msgspec.Struct, rename={"from_": "from"}):
    """The window a load reads, from < value <= to; null for an open end. `column`: the replication key; null: change versions."""

    column: str | None
    from_: str | None
    to: str | None


class PartFile(msgspec.Struct):
    """One Parquet part; `path` is relative to the document's folder (load document) or the source's folder (manifest).

    `deletes`: its rows are keys that the source deleted, and it has the key columns only.
    """

    path: str
    rows: Count
    bytes: Count
    sha256: Sha256
    min_key: list[str] | None = None
    max_key: list[str] | None = None
    deletes: bool = False


class KeyRange(msgspec.Struct, frozen=True):
    """Rows with lower < the first key column <= upper; null for an open end. Without a lower end, rows without a key too."""

    lower: str | None = None
    upper: str | None = None

    def __str__(self) -> str:
        if self.lower is None and self.upper is None:
            return "all rows"
        above = "" if self.lower is None else f"above {self.lower}"
        below = "" if self.upper is None else f"up to {self.upper}"
        return " ".join(each for each in (above, below) if each)


Ranges = Annotated[
    list[KeyRange] | None, Meta(description="of a repair: the key ranges whose rows in Delta it replaces; null for other loads")
]


OnDelete = Annotated[
    Literal["apply", "mark"],
    Meta(description="what becomes of rows in Delta whose keys the source deleted: they go, or get the time in _deleted_at"),
]
Deletes = Annotated[int, Meta(ge=0, description="keys that the source deleted, in the parts that say `deletes`")]
SourceDeletes = Annotated[int | None, Meta(description="the same as the source counts them; null where it cannot say")]
SnapshotRows = Annotated[
    int | None, Meta(description="rows of the whole table as of the bookmark, counted by the source; null where it did not")
]
Became = Literal["column", "left out", "record left out", "rejected"]
LeftOut = Annotated[int, Meta(ge=0, description="records left out because of fields that are not declared (discard_row)")]
DeadLetterCount = Annotated[int, Meta(ge=0, description="records that do not fit the schema, in _dead_letters/<load_id>.jsonl")]


class Drift(msgspec.Struct, frozen=True):
    """A field that came in `records` records and is not declared; `type`: of the column that it became (null for none)."""

    field: str
    became: Became
    records: Count
    type: str | None = None


class LoadDocument(msgspec.Struct, kw_only=True):
    """What a tap says of a complete load. Rows are counts, times are UTC text, bytes are of the Parquet files."""

    version: Version = VERSION
    load_id: LoadId
    run_id: str
    stream: str
    source_schema: str
    source_table: str
    comment: Comment = ""
    mode: Mode
    key_columns: list[str]
    cursor: Cursor | None
    schema: list[Column]
    files: list[PartFile]
    rows: Count
    source_rows: SourceRows
    table_rows: TableRows = None
    snapshot_rows: SnapshotRows = None
    deletes: Deletes = 0
    source_deletes: SourceDeletes = None
    on_delete: OnDelete = "apply"
    columns: dict[str, ColumnFacts]
    dead_letters: DeadLetterCount = 0
    left_out: LeftOut = 0
    drift: list[Drift] = []
    row_number: RowNumber = None
    ranges: Ranges = None
    started_at: UtcText
    ended_at: UtcText
    notes: list[str] = []


class Manifest(msgspec.Struct, kw_only=True):
    """What a target stages for the later steps: the load document, placed, named and with the stream's bookmark."""

    version: Version = VERSION
    load_id: LoadId
    run_id: str
    source: str
    stream: str
    table: str
    comment: Comment = ""
    mode: Mode
    key_columns: list[str]
    cursor: Cursor | None
    schema: list[Column]
    files: list[PartFile]
    rows: Count
    source_rows: SourceRows
    table_rows: TableRows = None
    snapshot_rows: SnapshotRows = None
    deletes: Deletes = 0
    source_deletes: SourceDeletes = None
    on_delete: OnDelete = "apply"
    columns: dict[str, ColumnFacts]
    dead_letters: DeadLetterCount
    left_out: LeftOut = 0
    drift: list[Drift] = []
    row_number: RowNumber = None
    ranges: Ranges = None
    target: Annotated[
        str | None, Meta(description="LAKEHOUSE_TARGET when the load was staged; null where it was not set: any target")
    ] = None
    bookmark: Bookmark
    started_at: UtcText
    ended_at: UtcText
    notes: list[str]


class LoadResult(msgspec.Struct, kw_only=True, frozen=True):
    """What became of one load. `equal` and `delta_rows` are null where figures were not compared."""

    load_id: LoadId
    source: str
    stream: str
    table: str
    mode: Mode
    rows: Count
    source_rows: SourceRows
    delta_rows: int | None
    status: Status
    equal: bool | None
    problems: list[str]
    action: Annotated[str, Meta(description="what settles a load that is refused, damaged, failed or blocked")] = ""
    table_rows: Annotated[int | None, Meta(description="rows of the whole table after the load; null where not counted")] = None
    dead_letters: DeadLetterCount = 0
    left_out: LeftOut = 0
    deletes: Deletes = 0


class PublishedDocument(msgspec.Struct, kw_only=True, frozen=True):
    """What the conversion job publishes of one order: bookmarks and newest loads of the ledger, and this order's loads."""

    version: Version
    published_at: UtcText
    order: Annotated[str, Meta(pattern="^[0-9a-f]{12}$", description="first 12 hex of the SHA-256 of the job's order")]
    target: Annotated[str, Meta(description="where the Delta tables are, as configured")]
    ledger: Ledger
    bookmarks: Annotated[dict[str, dict[str, Any]], Meta(description="by source, then by stream")]
    loads: list[LoadResult]
    committed: Annotated[list[LoadId], Meta(description="those of the order's staged loads that are applied or superseded")]


class LedgerRow(msgspec.Struct, kw_only=True, frozen=True):
    """A row of the Delta table `_loads`: what became of a load for good; `applied`: in Delta, checked and committed."""

    load_id: LoadId
    manifest_sha256: Sha256
    source: str
    stream: str
    table_name: str
    mode: Mode
    rows: Count
    source_rows: SourceRows
    delta_rows: Annotated[int | None, Meta(description="null for a load that is not applied")]
    delta_version: Annotated[int | None, Meta(description="null where the engine cannot say")]
    bookmark: Annotated[str | None, Meta(description="JSON")]
    committed_at: datetime
    ledger: Ledger
    status: LedgerStatus
    reason: Annotated[str | None, Meta(description="why the load was refused, or what made it needless")]
    columns: Annotated[str, Meta(description="JSON: the source's columns by name, each with its Arrow type as text")]
    dead_letters: Annotated[int | None, Meta(description="of the manifest; null in rows of older versions")] = None
    left_out: Annotated[int | None, Meta(description="of the manifest; null in rows of older versions")] = None
    deletes: Annotated[int | None, Meta(description="of the manifest; null in rows of older versions")] = None


class LogLine(msgspec.Struct, kw_only=True, frozen=True):
    """A line of a run where LOG_FORMAT is json: one event, of whatever step or plugin."""

    time: UtcText
    level: Literal["debug", "info", "warning", "error"]
    step: Annotated[str, Meta(min_length=1, description="run, check, finish, bookmarks, extract, upload, convert, verify, …")]
    stream: Annotated[str | None, Meta(description="the stream that it is about; null for none, or several")]
    load: Annotated[str | None, Meta(description="id of the load that it is about; null for none, or several")]
    message: Annotated[str, Meta(description="what people are told; an error in full")]
    figures: Annotated[
        dict[str, Any], Meta(description="by name: rows, bytes, seconds, rows_per_second, delta_rows, equal, …; {} for none")
    ]


Figures = Annotated[
    dict[str, str | None],
    Meta(description="by name: the column facts, and `hash`; null where all values are NULL; numbers as text"),
]


class ComparedColumn(msgspec.Struct, frozen=True):
    """A column whose `figures` source and Delta compute alike; `type` as in the manifest."""

    name: str
    column: str
    type: str
    figures: list[str]


class RangeFigures(msgspec.Struct, frozen=True):
    """What a range of keys holds: its rows, and the figures of its columns by their names at the source."""

    rows: Count
    columns: dict[str, Figures]


Bounds = Annotated[list[str], Meta(description="upper ends of the ranges but the last, ascending; none: one range of all rows")]
Problem = Annotated[str, Meta(description="why this table's figures are not known; empty where they are")]


class SourceTable(msgspec.Struct, kw_only=True, frozen=True):
    """What the source says of one stream now. `ranges` is one longer than `bounds`; empty where there is a problem."""

    stream: str
    table: str
    mode: Mode
    key_columns: list[str]
    bounds: Bounds
    columns: list[ComparedColumn]
    ranges: list[RangeFigures]
    problem: Problem = ""
    on_delete: OnDelete = "apply"


class SourceFigures(msgspec.Struct, kw_only=True, frozen=True):
    """What the tap asked its source for `reconcile`, table by table."""

    version: Version = VERSION
    asked_at: UtcText
    tables: list[SourceTable]


class DeltaTableFigures(msgspec.Struct, kw_only=True, frozen=True):
    """The same ranges of one table in Delta."""

    stream: str
    table: str
    ranges: list[RangeFigures]
    problem: Problem = ""


class DeltaFigures(msgspec.Struct, kw_only=True, frozen=True):
    """What the conversion job publishes for `reconcile`: nothing of it is about loads."""

    version: Version
    published_at: UtcText
    order: str
    target: str
    tables: list[DeltaTableFigures]


class Difference(msgspec.Struct, frozen=True):
    """One figure that is not equal; `column` is null for the rows themselves."""

    column: str | None
    figure: str
    source: str | None
    delta: str | None


class DifferingRange(msgspec.Struct, frozen=True):
    """A range of keys whose figures differ."""

    range: KeyRange
    differences: list[Difference]


class ReconciledTable(msgspec.Struct, kw_only=True, frozen=True):
    """One stream, compared. Rows are null where a side does not know them."""

    stream: str
    table: str
    mode: Mode
    key_columns: list[str]
    source_rows: int | None
    delta_rows: int | None
    ranges: Annotated[int, Meta(description="how many ranges were compared")]
    differing: list[DifferingRange]
    problem: Annotated[str, Meta(description="why the stream was not compared; empty where it was")] = ""

    @property
    def is_equal(self) -> bool:
        """Whether it was compared and nothing differs."""
        return not self.problem and not self.differing


class Reconciliation(msgspec.Struct, kw_only=True, frozen=True):
    """What `reconcile` found, and what `repair` reads again."""

    version: Version = VERSION
    reconciled_at: UtcText
    target: str
    tables: list[ReconciledTable]


def columns_of(
    stream: str,
    schema: pa.Schema,
    source_types: Mapping[str, str],
    collations: Mapping[str, str] = MappingProxyType({}),
    comments: Mapping[str, str] = MappingProxyType({}),
) -> list[Column]:
    """The manifest's columns of an Arrow schema. Raises NameRefused or TypeRefused, naming stream and column.

    `collations`: those of text key columns, `comments`: the source's descriptions, by name.
    """
    from singer_arrow import types

    in_delta = names.column_names(stream, schema.names)
    return [
        Column(
            field.name,
            in_delta[field.name],
            types.type_text(field.type),
            field.nullable,
            source_types.get(field.name, ""),
            collations.get(field.name),
            comments.get(field.name, ""),
        )
        for field in schema
    ]


def rows_and_deletes(files: Iterable[PartFile]) -> tuple[int, int]:
    """The rows of parts, and the keys in those that hold deletes."""
    told = list(files)
    return sum(f.rows for f in told if not f.deletes), sum(f.rows for f in told if f.deletes)


def manifest_of(
    document: LoadDocument, source: str, files: list[PartFile], bookmark: dict[str, Any] | None, target: str | None = None
) -> Manifest:
    """The manifest of a complete load whose files now stand in the folder of `source`, meant for `target` (null: for any).

    Of a load of the whole stream, the bookmark that its tap still has of incremental loads before it tells nothing of its table.
    """
    if bookmark and document.mode == "overwrite" and document.cursor is None:
        bookmark = {name: value for name, value in bookmark.items() if name not in POSITION}
    both = set(Manifest.__struct_fields__) & set(LoadDocument.__struct_fields__) - {"files"}
    table = names.table_name(document.source_schema, document.source_table)
    same = {name: getattr(document, name) for name in both}
    return Manifest(**same, source=source, table=table, files=files, bookmark=bookmark, target=target)


def document_path(folder: Path, load_id: str) -> Path:
    """Where a tap writes the load document: beside the load's parts."""
    return folder / names.load_document(load_id)


def write(path: Path, document: LoadDocument | Manifest | SourceFigures | Reconciliation) -> None:
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
