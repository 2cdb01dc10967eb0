"""Reading one range: its end is found, its rows counted at the source, read into parts, and compared."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from singer_arrow.errors import ValueRefused
from singer_arrow.parts import PartLimits, PartWriter
from tap_mssql.config.settings import Settings
from tap_mssql.errors import ReadFailed, Stopped
from tap_mssql.plan import statements
from tap_mssql.plan.key_order import Bound
from tap_mssql.plan.select_list import row_bytes
from tap_mssql.read import drift
from tap_mssql.read.limits import Memory, Pace
from tap_mssql.read.load import Load
from tap_mssql.read.ranges import Finished, Range
from tap_mssql.server.session import Session
from tap_mssql.singer.record_output import cast

FIRST_ROWS = 196_608  # of the first range, before it is known how fast the table reads
FIRST_BYTES = 64 << 20
BATCH_ROWS = 8_192  # larger batches are no faster, and hold more memory
KEPT = "Finished ranges stay for the next run, nothing of this load is staged, Delta is as it was"
_BUSY = "What to do: read it when fewer rows come and go, or let the database ALLOW_SNAPSHOT_ISOLATION"
TRIES = 5  # of a range whose rows come and go, each of half as many rows


@dataclass(frozen=True)
class Counted:
    """What the source says of a range: rows, values finer than a microsecond by column, its longest unbounded values in bytes."""

    rows: int
    finer: dict[str, int]
    longest: int


@dataclass(frozen=True)
class Poured:
    """What one query brought: rows, seconds, and the range they are of (cut short where the query's time was up)."""

    range: Range
    rows: int
    seconds: float


class _Unsettled(Exception):
    """Rows came or went while they were read, and another try may find them at rest."""


class Reader:
    """Reads ranges on one session, within the budgets that all readers share."""

    def __init__(self, session: Session, settings: Settings, memory: Memory, pace: Pace, stopping: threading.Event) -> None:
        self._session = session
        self._settings = settings
        self._memory = memory
        self._pace = pace
        self._stopping = stopping
        self._share = (settings.memory_mib << 20) // settings.max_parallel

    def cut(self, load: Load, range_: Range) -> Range:
        """Finds the end of a range that is longer than one query should be; the rest is left to the next reader."""
        rows = self._rows(load)
        whole = range_.lower is None and range_.upper is None and load.opened.window is None
        if range_.kind != "keys" or (whole and 0 < load.estimate <= rows // 2):
            return range_
        bound = self._bound(load, load.bounds(range_), rows)
        return range_ if bound is None else load.cut(range_, bound, rows)

    def _bound(self, load: Load, condition: str, rows: int) -> Bound | None:
        """Where so many rows end; None where fewer are left."""
        assert load.opened.order is not None
        found = self._session.one(statements.boundary(load.wanted.table, load.opened.order, condition, rows))
        return None if found is None else tuple(str(text) for text in found)

    def _rows(self, load: Load) -> int:
        """Rows of the next range: half of what the last ones read in `max_query_seconds`."""
        average = load.wanted.table.row_bytes
        first = min(FIRST_ROWS, FIRST_BYTES // average) if average else FIRST_ROWS
        rows = min(load.next_rows or first, self._settings.range_rows)
        return max(1, min(rows, self._settings.max_rows_per_second or rows))

    def read(self, load: Load, range_: Range) -> Finished:
        """Reads a range into parts, or its beginning; the rest is left to the next reader.

        Raises ReadFailed, Drifted, Stopped, or what the driver raises; it leaves no part then, and the range as it was.
        """
        asked = range_
        for tries_left in reversed(range(TRIES)):
            try:
                finished = self._attempt(load, asked, last=not tries_left)
            except _Unsettled:
                asked = self._half(load, asked)
                continue
            if finished.range.upper != range_.upper:
                assert finished.range.upper is not None
                load.cut(range_, finished.range.upper, 0)
            return finished
        raise ReadFailed(f"stream {load.stream}, {asked}: its rows come and go faster than they can be read. {KEPT}. {_BUSY}.")

    def _half(self, load: Load, range_: Range) -> Range:
        """The first half of a range, which is at rest more often than the whole."""
        rows = self._count(load, range_).rows // 2
        bound = self._bound(load, load.bounds(range_), rows) if range_.kind == "keys" and rows else None
        return range_ if bound is None else range_.up_to(bound)

    def _attempt(self, load: Load, range_: Range, last: bool) -> Finished:
        writer = load.writer(range_, PartLimits(part_rows=self._settings.part_rows, group_bytes=self._share // 2))
        longest = self._count(load, range_).longest if statements.unbounded(load.wanted.columns) else 0
        width = row_bytes(load.wanted.columns, longest)
        batch_rows = max(1, min(BATCH_ROWS, self._settings.cursor_array_size, self._share // 4 // width))
        try:
            with self._memory.hold(max(self._share, 8 * width * batch_rows)):
                with self._session.transaction():
                    self._refuse_drift(load)
                    counted = self._count(load, range_)
                    self._pace.wait(counted.rows if range_.kind == "keys" else 0)
                    poured = self._pour(load, range_, counted.rows, writer, batch_rows)
                    if poured.range is not range_:
                        counted = self._count(load, poured.range)
                    changed = self._compare(load, poured, counted, last)
                    self._refuse_drift(load)
                if poured.rows:
                    writer.close()
        except BaseException:
            writer.abandon()
            for part in writer.files:
                (load.folder / part.path).unlink(missing_ok=True)
            load.set_rows(range_, 0)
            raise
        self._learn(load, poured)
        return Finished(
            range=poured.range,
            rows=poured.rows,
            source_rows=poured.rows if changed else counted.rows,
            files=writer.files,
            columns=writer.facts(),
            finer=counted.finer,
            changed=changed,
        )

    def _refuse_drift(self, load: Load) -> None:
        shape = load.opened
        shape.version = drift.refuse(self._session, load.stream, load.wanted.table, shape.version)

    def _count(self, load: Load, range_: Range) -> Counted:
        columns = load.wanted.columns
        row = self._session.must(
            statements.facts(load.wanted.table, columns, load.condition(range_)), patient=range_.kind != "keys"
        )
        finer = [c.name for c in statements.fine(columns)]
        longest = sum(int(value or 0) for value in row[1 + len(finer) :])
        return Counted(int(row[0]), {n: int(v) for n, v in zip(finer, row[1:], strict=False) if v}, longest)

    def _pour(self, load: Load, range_: Range, expected: int, writer: PartWriter, batch_rows: int) -> Poured:
        """The range's rows into the writer, for as long as one query may take; then its rest is left."""
        shape = load.opened
        order = shape.order if range_.kind == "keys" else None
        expressions = [item.expression for item in shape.items]
        sql = statements.rows(load.wanted.table, expressions, load.condition(range_), order)
        began, rows = time.monotonic(), 0
        with closing(self._session.batches(sql, batch_rows, patient=order is None)) as batches:
            for batch in batches:
                writer.write(as_declared(batch, load))
                rows += batch.num_rows
                load.set_rows(range_, rows)
                if self._stopping.is_set() or load.is_halted:
                    raise Stopped(load.stream)
                if range_.kind == "scan":
                    self._pace.wait(batch.num_rows)
                elif order and rows < expected and time.monotonic() - began > self._settings.max_query_seconds * 0.9:
                    break
            else:
                return Poured(range_, rows, time.monotonic() - began)
        bound = self._bound(load, load.condition(range_), rows)
        if bound is None:
            raise _Unsettled
        return Poured(range_.up_to(bound), rows, time.monotonic() - began)

    def _compare(self, load: Load, poured: Poured, counted: Counted, last: bool) -> bool:
        """Whether rows came or went while the range was read. Raises ReadFailed for rows that nothing accounts for."""
        if poured.rows == counted.rows:
            return False
        again = self._count(load, poured.range).rows
        advice = "What to do: run again, and report this with the server's version"
        if not self._session.is_snapshot:
            if not last:
                raise _Unsettled
            if min(counted.rows, again) <= poured.rows <= max(counted.rows, again):
                return True
            advice = _BUSY
        raise ReadFailed(
            f"stream {load.stream}, {poured.range}: the source counts {counted.rows} rows, then {again}; {poured.rows} arrived. "
            f"{KEPT}. {advice}."
        )

    def _learn(self, load: Load, poured: Poured) -> None:
        if poured.seconds > 0.2:
            load.next_rows = max(1_024, int(poured.rows / poured.seconds * self._settings.max_query_seconds / 2))


def as_declared(batch: pa.RecordBatch, load: Load) -> pa.RecordBatch:
    """The driver's batch in the declared types. Raises ReadFailed naming the column whose values do not fit."""
    try:
        return cast(batch, load.opened.items)
    except ValueRefused as error:
        raise ReadFailed(
            f"stream {load.stream}, {error}. Nothing of this load is staged; deselect the column to read the others."
        ) from error
