"""What reading needs of a database: the whole of it. A class with these methods makes another database readable.

A stream goes through it as two objects of the source's own making: a `LoadRequest`, what is asked for, and a `LoadPlan`, how it
is read, which `open` makes of the request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

import pyarrow as pa
from msgspec import Struct, field

from singer_arrow.again import Again
from singer_arrow.documents import Cursor, KeyRange, Mode, OnDelete
from tap_mssql.read.ranges import Bound, Kind, Range

T = TypeVar("T")


class LoadRequest(Protocol):
    """A stream to read, and what is known of its size before it is opened. Estimates are 0 where nothing is known."""

    @property
    def stream(self) -> str:
        """The stream's name."""

    @property
    def estimated_rows(self) -> int:
        """Rows of the table; an incremental load may read far fewer."""

    @property
    def stored_row_bytes(self) -> int:
        """Bytes of a row where the database keeps it, on average."""

    @property
    def declared_row_bytes(self) -> int:
        """Bytes of a row's selected columns, as declared: to compare streams by."""

    @property
    def is_incremental(self) -> bool:
        """Whether a bookmark decides what is read."""


class LoadPlan(Struct, frozen=True, kw_only=True):
    """How a stream is read: the same for all its ranges.

    `kinds`: the ranges that make the whole, `("keys",)`, `("keys", "nulls")` or `("scan",)`, of changes also `"deletes"`.
    `source_types`: the columns' types as the database declares them. `is_in_key_order`: ranges of keys are in the order of
    `key_columns`, so that parts can say from which key to which they go. `row_bytes`: memory one row may take; None where the
    rows must tell. `window.to` is fixed when the load begins, and stays when a later run goes on with it. `identity`: what two
    runs must have in common, in words and JSON values, for one to use what the other read. `notes` travel in the load document.
    `collations`: by which the database compares text columns of the key, by name. `comment` and, by column, `comments`: how the
    database describes the table and its columns. `ranges`: what a repair reads again. `table_rows`: of the whole table, as the
    database estimates; None where it does not. `mark`: what the bookmark holds besides the end of the window. `is_idle`: there is
    nothing to read, and no load. `on_delete`: what becomes of deleted rows in Delta. `most_rows`: the load has no more, as far as
    is known beforehand. `again`: which rows the next load of a stream with a replication key reads once more. `version`: the
    table's when it was opened, see Source.version. `known`: the bookmark's fingerprint of those that this load reads once more,
    where it would leave the bookmark in its place; else None.
    """

    source_schema: str
    source_table: str
    schema: pa.Schema
    source_types: dict[str, str]
    mode: Mode
    key_columns: tuple[str, ...]
    kinds: tuple[Kind, ...] = ("keys",)
    is_in_key_order: bool = False
    may_tie: bool = False  # rows may be equal in the order of ranges: between two of them no range can end
    window: Cursor | None = None
    moves_bookmark: bool = True
    row_bytes: int | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    collations: dict[str, str] = field(default_factory=dict)
    comment: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    ranges: tuple[KeyRange, ...] = ()
    table_rows: int | None = None
    mark: dict[str, Any] = field(default_factory=dict)
    most_rows: int | None = None
    is_idle: bool = False
    proves_key: bool = False  # nothing says that the key names each row once: the database is asked
    again: Again | None = None
    version: str = ""
    known: str | None = None
    on_delete: OnDelete = "apply"

    @property
    def is_part(self) -> bool:
        """Whether some rows of the table are left out: those outside a window, or unchanged since a version, or in no range."""
        window = self.window
        return bool(self.ranges) or (window is not None and (window.column is not None or window.from_ is not None))

    def may_end_at(self, until: str | None) -> bool:
        """Whether an earlier run's load, which was to be of that end, can still be gone on with: here always."""
        return True

    @property
    def key_schema(self) -> pa.Schema:
        """The key columns, in the schema's order: what is read of a deleted row."""
        return pa.schema([f for f in self.schema if f.name in self.key_columns])


class Answer(Protocol):
    """The rows of one query, taken once: batches in the plan's schema, `keys` in key order. Closing it stops the query.

    `last` is the key of the last row that came, None where the plan has no order. `sent` is how many rows the source says that
    it sent, known behind the last batch; None where it does not say. `finer`, by column, are values of the rows that came with a
    digit below a microsecond.
    """

    last: Bound | None
    sent: int | None
    finer: dict[str, int]

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches. Raises ReadFailed for values that do not fit their column, and whatever the driver raises."""

    def close(self) -> None:
        """Stops the query."""


class Source(Protocol):
    """One reader's connection to the database, opened when it is first needed.

    One thread uses it; only `is_silent` and `sever` are called by another one. `request` and `plan` are those that the source
    made itself. Methods raise whatever the database's driver raises; `retry` decides what becomes of it.
    """

    isolation: str  # what the ranges of one load see of each other's time, for the load document
    sees_one_state: bool = False  # within a `snapshot`, whatever others write meanwhile

    def open(self, request: Any) -> LoadPlan:
        """How a stream is read. Raises Drifted where the table is not what the request knows, SelectionRefused."""

    def version(self, plan: Any, known: str) -> str:
        """The table's version, changed by whatever changes its columns. Raises Drifted where it is not what the plan reads.

        `known` is the version it had when last looked at, empty where it never was: the same one needs no further look.
        """

    def count(self, plan: Any, range_: Range) -> int:
        """Rows of a range."""

    def row_bytes(self, plan: Any, range_: Range, most: int | None) -> int:
        """The most memory that one of a range's rows may take, or of the first `most`: asked where the plan does not know."""
        return 0

    def boundary(self, plan: Any, range_: Range, rows: int) -> Bound | None:
        """The key of a range's row of that number, the first being 1; None where it has fewer.

        Rows that the load's window leaves out may be counted as well where that is cheaper.
        """

    def rows(self, plan: Any, range_: Range, batch_rows: int, most: int | None = None) -> Answer:
        """A range's rows, the first `most` of them where that is given. Raises ReadFailed."""

    def table_rows(self, plan: Any) -> int | None:
        """The rows of the whole table as of the end of a load's window, counted; None where that is not known any more."""
        return None

    def repeated_key(self, plan: Any) -> str | None:
        """In words, a key that more than one row of a load has, where its plan says `proves_key`; None where there is none."""
        return None

    def snapshot(self) -> AbstractContextManager[object]:
        """One state of the database, where it has such a thing."""
        return nullcontext()

    def retry(self, request: Any, what: str, action: Callable[[], T], stopping: threading.Event) -> T:
        """What an action gives, tried again where its error passes by itself. Raises ReadFailed, Drifted, or Stopped."""
        return action()

    def is_silent(self) -> bool:
        """Whether the database has been silent for longer than a connection that works ever is."""
        return False

    def sever(self) -> None:
        """Breaks the connection, so that whatever waits for an answer fails at once."""

    def close(self) -> None:
        """Gives the connection up."""
