"""One stream's load while it is read: what is asked for, what is cut, what is finished."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from singer_arrow import documents
from singer_arrow.documents import Cursor, LoadDocument
from singer_arrow.errors import ArrowSingerError
from singer_arrow.facts import merged
from singer_arrow.parts import PartLimits, PartWriter
from tap_mssql.errors import ReadFailed, TapError
from tap_mssql.plan import statements
from tap_mssql.plan.key_order import Bound, Order
from tap_mssql.plan.select_list import Item
from tap_mssql.plan.window import Window
from tap_mssql.read.ranges import Finished, Place, Range, in_order
from tap_mssql.read.spool import Spool
from tap_mssql.server.discovery import Table
from tap_mssql.server.sql_types import SqlColumn


@dataclass(frozen=True)
class Wanted:
    """What a stream asks for. `key` identifies rows for merging; `bookmark` is the replication key's, as text.

    `left_out` says which columns are not read, and why.
    """

    stream: str
    table: Table
    columns: tuple[SqlColumn, ...]
    key: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    cursor: SqlColumn | None = None
    bookmark: str | None = None
    lookback: int = 0
    start_value: str | None = None
    end_value: str | None = None

    @property
    def is_backfill(self) -> bool:
        """Whether the window is given, so that the bookmark stays."""
        return self.start_value is not None or self.end_value is not None

    @property
    def mode(self) -> documents.Mode:
        """What the load does to the Delta table."""
        if self.cursor is None:
            return "overwrite"
        return "merge" if self.key else "append"


@dataclass
class Shape:
    """How a load is read, fixed when it is opened and the same for all its ranges."""

    load_id: str
    started_at: str
    items: list[Item]
    order: Order | None
    by_cursor: bool
    window: Window | None
    version: str = ""  # of the table, see drift.version
    notes: list[str] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of parts: one field per item."""
        return pa.schema([item.field for item in self.items])


class Load:
    """A stream's load. Readers share it: `lock` guards what they change."""

    def __init__(self, wanted: Wanted, spool: Spool, run_id: str) -> None:
        self.wanted = wanted
        self.spool = spool
        self.run_id = run_id
        self.lock = threading.Lock()
        self.shape: Shape | None = None
        self.document: LoadDocument | None = None
        self.error: TapError | ArrowSingerError | None = None
        self.successor: Wanted | None = None  # what to read instead, when the table changed
        self.restarts = 0
        self.reading = 0  # readers that work on it
        self.is_over = False
        self.waiting: deque[Range] = deque()
        self.finished: list[Finished] = []
        self.bytes = 0  # of finished parts
        self.next_rows = 0  # rows of the next range; 0 until one was read
        self.began = time.monotonic()
        self.seconds = 0.0  # from the first reader to the last
        self._cut = 0  # rows of ranges given out
        self._places: set[Place] = set()
        self._in_work: dict[Place, int] = {}  # rows of ranges that are being read

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.wanted.stream

    @property
    def folder(self) -> Path:
        """Where the load's parts lie."""
        return self.spool.folder

    @property
    def opened(self) -> Shape:
        """The load's shape, once it is open."""
        assert self.shape is not None
        return self.shape

    @property
    def estimate(self) -> int:
        """Rows the table has, as its statistics say; 0 where they don't. An incremental load may read far fewer."""
        return self.wanted.table.row_estimate or 0

    @property
    def left(self) -> int:
        """Bytes still to read, as estimated, to begin with what takes longest; what can't be told comes before small tables."""
        width = sum(c.max_length if c.max_length > 0 else 64 for c in self.wanted.columns)
        rows = max(self.estimate - self._cut, 0) if self.estimate else 100_000
        return rows * width

    def condition(self, range_: Range) -> str:
        """The WHERE condition of a range; empty text for the whole table."""
        shape = self.opened
        if range_.kind == "nulls":
            assert shape.window is not None
            return shape.window.nulls
        whole = "" if shape.window is None else shape.window.predicate if shape.by_cursor else shape.window.both
        if range_.kind == "scan" or shape.order is None:
            return whole
        return statements.both(shape.order.between(range_.lower, range_.upper), whole)

    def bounds(self, range_: Range) -> str:
        """The condition under which a range is cut: by the order alone, unless the replication key leads it."""
        shape = self.opened
        assert shape.order is not None
        between = shape.order.between(range_.lower, range_.upper)
        return statements.both(between, shape.window.predicate) if shape.window and shape.by_cursor else between

    @property
    def is_halted(self) -> bool:
        """Whether readers should leave it: it has failed, or begins again."""
        return self.error is not None or self.successor is not None

    @property
    def rows(self) -> int:
        """Rows read so far."""
        with self.lock:
            return sum(f.rows for f in self.finished) + sum(self._in_work.values())

    def begin(self, shape: Shape, ranges: Sequence[Range], finished: Sequence[Finished]) -> None:
        """Opens the load: what is to be read, and what an earlier try has finished."""
        with self.lock:
            self.shape = shape
            self.waiting.clear()
            self.waiting.extend(ranges)
            self.finished = list(finished)
            self.bytes = sum(p.bytes for f in finished for p in f.files)
            self._places = {r.place for r in ranges} | {f.range.place for f in finished}
            self._cut = sum(f.rows for f in finished)

    def cut(self, range_: Range, bound: Bound, rows: int) -> Range:
        """Cuts a range that is in work; what is left of it waits for a reader. Returns the first part."""
        with self.lock:
            rest = range_.beyond(bound, self._places)
            self._places.add(rest.place)
            self.waiting.append(rest)
            self._cut += rows
        return range_.up_to(bound)

    def set_rows(self, range_: Range, rows: int) -> None:
        """Tells how many rows of a range were read so far."""
        with self.lock:
            self._in_work[range_.place] = rows

    def finish(self, record: Finished) -> None:
        """Takes a range that was read and proven."""
        self.spool.finish(self.opened.load_id, record)
        with self.lock:
            self._in_work.pop(record.range.place, None)
            self.finished.append(record)
            self.bytes += sum(p.bytes for p in record.files)

    def fail(self, error: TapError | ArrowSingerError) -> None:
        """Ends the load; the first error counts. Finished ranges stay in the spool."""
        with self.lock:
            self.error = self.error or error
            self.waiting.clear()

    def replace(self, wanted: Wanted) -> None:
        """Lets the load begin again with the table as it is now, once its readers have left it."""
        with self.lock:
            self.successor = wanted
            self.waiting.clear()

    def restart(self) -> None:
        """Begins again: nothing of what was read is used."""
        with self.lock:
            assert self.successor is not None
            self.wanted, self.successor, self.shape = self.successor, None, None
            self.finished, self.bytes = [], 0
            self._in_work.clear()
            self.restarts += 1

    def writer(self, range_: Range, limits: PartLimits) -> PartWriter:
        """A writer for one range's parts."""
        shape = self.opened
        key = list(self.wanted.key) if shape.order and [c.name for c in shape.order.columns] == list(self.wanted.key) else []
        source_types = {item.name: item.source_type for item in shape.items}
        return PartWriter(self.folder, shape.load_id, shape.schema, source_types, key, bool(key), limits, range_.number)

    def complete(self, isolation: str, ended_at: str) -> None:
        """Proves that the ranges make the whole, and writes the load document: the load exists for the target from here on."""
        shape, wanted = self.opened, self.wanted
        try:
            ranges = in_order(self.finished)
        except ValueError as error:
            raise ReadFailed(f"stream {self.stream}: {error}. Nothing of this load is staged; report this.") from None
        files = [part for each in ranges for part in each.files]
        if not files:
            files = self.writer(Range(), PartLimits()).close()
        rows = sum(each.rows for each in ranges)
        window = shape.window
        self.document = LoadDocument(
            load_id=shape.load_id,
            run_id=self.run_id,
            stream=self.stream,
            source_schema=wanted.table.schema,
            source_table=wanted.table.name,
            mode=wanted.mode,
            key_columns=list(wanted.key),
            cursor=Cursor(window.column.name, window.from_, window.to) if window else None,
            schema=documents.columns_of(self.stream, shape.schema, {item.name: item.source_type for item in shape.items}),
            files=files,
            rows=rows,
            source_rows=sum(each.source_rows for each in ranges),
            columns={f.name: merged(f.type, [each.columns[f.name] for each in ranges]) for f in shape.schema},
            started_at=shape.started_at,
            ended_at=ended_at,
            notes=[f"isolation: {isolation}", *shape.notes, *self._told(ranges)],
        )
        documents.write(documents.document_path(self.folder, shape.load_id), self.document)

    def _told(self, ranges: list[Finished]) -> list[str]:
        told = [f"left out: {text}" for text in self.wanted.left_out]
        for column in statements.fine(self.wanted.columns):
            count = sum(each.finer.get(column.name, 0) for each in ranges)
            kept = "; the exact text is beside it" if any(i.name == column.name + "_100ns" for i in self.opened.items) else ""
            if count:
                told.append(
                    f"{column.name}: {count} values had a digit finer than a microsecond, which timestamp[us] does not hold{kept}"
                )
        nulls = sum(each.rows for each in ranges if each.range.kind == "nulls")
        if nulls and self.opened.window:
            told.append(f"{nulls} rows have no value in {self.opened.window.column.name}: read by this first load, not again")
        changed = [str(each.range) for each in ranges if each.changed]
        if changed:
            told.append(f"rows came or went while {len(changed)} of {len(ranges)} ranges were read, {changed[0]} first")
        return told
