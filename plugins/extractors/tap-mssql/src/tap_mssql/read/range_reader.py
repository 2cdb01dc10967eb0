"""One range's way: its rows are read into parts, its end is where they end, and their number is compared with the source's.

The source says itself how many rows it sent, and is asked for nothing twice. Where its answers to two statements may be of two
states, the range is counted behind its rows, and where that does not agree, before them, too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

from msgspec import Struct

from singer_arrow import noted
from singer_arrow.parts import PartLimits, PartWriter
from tap_mssql.errors import ReadFailed, Stopped
from tap_mssql.read.limits import MemoryLimit, ReadLimits, RowRate
from tap_mssql.read.load import Load
from tap_mssql.read.ranges import Bound, FinishedRange, Range
from tap_mssql.read.source import Source

FIRST_ROWS = 196_608  # of the first range, before it is known how fast the table reads
FIRST_BYTES = 64 << 20
BATCH_ROWS = 8_192  # larger batches are no faster, and hold more memory
TRIES = 5  # of a range whose rows come and go, each of half as many rows
_AT_REST = "read it when fewer rows come and go, or let the database ALLOW_SNAPSHOT_ISOLATION"


class QueryResult(Struct, frozen=True):
    """What one query brought: rows, seconds, the range they are of (cut short where it was), and what the source says it sent.

    `finer` is as in Answer.
    """

    range: Range
    rows: int
    seconds: float
    sent: int | None
    finer: dict[str, int]


class _RowsChanged(Exception):
    """Rows came or went while they were read, and another try may find those of `range` at rest."""

    def __init__(self, range_: Range) -> None:
        super().__init__(str(range_))
        self.range = range_


class RangeReader:
    """Reads ranges over one connection, within the limits that all readers share.

    `is_awaited` says whether another reader has nothing to do; `on_cut` is called when there is something for it.
    """

    def __init__(
        self,
        source: Source,
        limits: ReadLimits,
        memory: MemoryLimit,
        rate: RowRate,
        stopping: threading.Event,
        is_awaited: Callable[[], bool],
        on_cut: Callable[[], None],
    ) -> None:
        self._source = source
        self._limits = limits
        self._memory = memory
        self._rate = rate
        self._stopping = stopping
        self._is_awaited = is_awaited
        self._on_cut = on_cut

    def read(self, load: Load, range_: Range) -> None:
        """Reads a range, or its beginning; the rest is left to the next reader. Raises ReadFailed, Drifted or Stopped."""
        retry, request = self._source.retry, load.request
        with noted.span("range", load.stream, load.load_id) as told:
            first, most = retry(request, str(range_), lambda: self._cut_to_size(load, range_), self._stopping)
            self._on_cut()
            finished = retry(request, str(first), lambda: self._read_at_rest(load, first, most), self._stopping)
            told |= {"range": finished.range.number, "kind": finished.range.kind, "rows": finished.rows}
            told |= {"files": len(finished.files), "bytes": sum(part.bytes for part in finished.files)}
        load.finish(finished)

    # --- its end -------------------------------------------------------------------------------------------------------

    def _cut_to_size(self, load: Load, range_: Range) -> tuple[Range, int | None]:
        """What to read of a range that is longer than one query should be: so many of its rows, or up to an end.

        Its end is looked for beforehand, which costs the source a look at the keys of all its rows, where another reader waits
        for the rest, and where it can't end at any row.
        """
        rows, plan = self._rows_of_next(load), load.opened
        is_whole = range_.lower is None and range_.upper is None and plan.window is None
        is_short = plan.most_rows is not None and range_.lower is None and plan.most_rows <= rows
        if range_.kind != "keys" or is_short or (is_whole and 0 < load.request.estimated_rows <= rows // 2):
            return range_, None
        if not (plan.may_tie or self._is_awaited()):
            return range_, rows
        bound = self._boundary(load, range_, rows)
        return (range_ if bound is None else load.ranges.cut(range_, bound, rows)), None

    def _rows_of_next(self, load: Load) -> int:
        """Rows of the next range: half of what the last one read in `query_seconds`."""
        average = load.request.stored_row_bytes
        first = min(FIRST_ROWS, FIRST_BYTES // average) if average else FIRST_ROWS
        rows = min(load.ranges.next_rows or first, self._limits.range_rows)
        return max(1, min(rows, self._limits.rows_per_second or rows))

    # --- its rows ------------------------------------------------------------------------------------------------------

    def _read_at_rest(self, load: Load, range_: Range, most: int | None) -> FinishedRange:
        """Reads a range into parts, or its beginning where rows come and go; raises what reading raises, without a trace left."""
        asked = range_
        for tries_left in reversed(range(TRIES)):
            is_first, is_last = tries_left == TRIES - 1, not tries_left
            try:
                finished = self._read_once(load, asked, most if is_first else None, not is_first, is_last)
            except _RowsChanged as changed:
                asked = self._first_half(load, changed.range)
                continue
            if finished.range.upper != range_.upper:
                assert finished.range.upper is not None
                load.ranges.cut(range_, finished.range.upper, finished.rows if most else 0)
            return finished
        raise ReadFailed(f"stream {load.stream}, {asked}: its rows come and go faster than they can be read", action=_AT_REST)

    def _first_half(self, load: Load, range_: Range) -> Range:
        """The first half of a range, which is at rest more often than the whole."""
        rows = self._count(load, range_) // 2 if range_.kind == "keys" else 0
        bound = self._boundary(load, range_, rows) if rows else None
        return range_ if bound is None else range_.up_to(bound)

    def _read_once(self, load: Load, range_: Range, most: int | None, was_restless: bool, is_last_try: bool) -> FinishedRange:
        plan, share = load.opened, self._limits.reader_bytes
        writer = load.writer(range_, PartLimits(part_rows=self._limits.part_rows, group_bytes=share // 2))
        row_bytes = plan.row_bytes or self._row_bytes(load, range_, most)
        batch_rows = max(1, min(BATCH_ROWS, self._limits.batch_rows, share // 4 // max(row_bytes, 1)))
        try:
            with self._memory.hold(max(share, 8 * row_bytes * batch_rows)):
                with self._source.snapshot():
                    self._refuse_drift(load)
                    before = self._count(load, range_) if was_restless else None
                    expected = before or most or self._rows_of_next(load)
                    self._rate.wait(expected if range_.kind == "keys" else 0)
                    result = self._write_rows(load, range_, most, before, writer, batch_rows)
                    self._rate.give_back(expected - result.rows if range_.kind == "keys" else 0)
                    source_rows, changed = self._compare(load, result, before, range_, is_last_try)
                    self._refuse_drift(load)
                if result.rows:
                    writer.close()
        except BaseException:
            writer.abandon()
            for part in writer.files:
                (load.folder / part.path).unlink(missing_ok=True)
            load.ranges.set_rows(range_, 0)
            raise
        self._size_next(load, result)
        return FinishedRange(
            range=result.range,
            rows=result.rows,
            source_rows=source_rows,
            files=writer.files,
            columns=writer.facts(),
            finer=result.finer,
            changed=changed,
        )

    def _boundary(self, load: Load, range_: Range, rows: int) -> Bound | None:
        load.look(rows)
        return self._source.boundary(load.opened, range_, rows)

    def _count(self, load: Load, range_: Range) -> int:
        counted = self._source.count(load.opened, range_)
        load.look(counted)
        return counted

    def _row_bytes(self, load: Load, range_: Range, most: int | None) -> int:
        load.look(most or self._rows_of_next(load))
        return self._source.row_bytes(load.opened, range_, most)

    def _refuse_drift(self, load: Load) -> None:
        load.version = self._source.version(load.opened, load.version)

    def _write_rows(
        self, load: Load, range_: Range, most: int | None, before: int | None, writer: PartWriter, batch_rows: int
    ) -> QueryResult:
        """The range's rows into the writer, for as long as one query may take; then its rest is left."""
        can_end = range_.kind == "keys" and not load.opened.may_tie
        began, rows = time.monotonic(), 0
        is_cut = False
        with closing(self._source.rows(load.opened, range_, batch_rows, most)) as answer:
            for batch in answer:
                writer.write(batch)
                rows += batch.num_rows
                load.ranges.set_rows(range_, rows)
                if self._stopping.is_set() or load.is_halted:
                    raise Stopped(load.stream)
                if range_.kind == "scan":
                    self._rate.wait(batch.num_rows)
                is_last = rows == (most if before is None else before)
                if can_end and not is_last and time.monotonic() - began > self._limits.query_seconds * 0.9:
                    is_cut = True
                    break
        load.look(rows)
        if answer.last is not None and (is_cut or rows == most):
            range_ = range_.up_to(answer.last)
        return QueryResult(range_, rows, time.monotonic() - began, answer.sent, answer.finer)

    # --- the comparison ------------------------------------------------------------------------------------------------

    def _compare(self, load: Load, result: QueryResult, before: int | None, asked: Range, is_last_try: bool) -> tuple[int, bool]:
        """How many rows the range has by the source, and whether they came or went meanwhile.

        Raises ReadFailed for rows that nothing accounts for.
        """
        sees_one_state = self._source.sees_one_state
        where = f"stream {load.stream}, {result.range}"
        report = "run again; if it happens again, report this as a bug, with the server's version"
        if result.sent not in (None, result.rows):
            raise ReadFailed(f"{where}: the source sent {result.sent} rows; {result.rows} arrived", action=report)
        if before is None and sees_one_state and result.sent is not None:
            return result.sent, False
        counted = before if before is not None and result.range == asked else self._count(load, result.range)
        if result.rows == counted:
            return counted, False
        if not sees_one_state and (before is None or not is_last_try):
            raise _RowsChanged(result.range)
        again = self._count(load, result.range)
        if not sees_one_state and min(counted, again) <= result.rows <= max(counted, again):
            return result.rows, True
        raise ReadFailed(
            f"{where}: the source counts {counted} rows, then {again}; {result.rows} arrived",
            action=report if sees_one_state else _AT_REST,
        )

    def _size_next(self, load: Load, result: QueryResult) -> None:
        if result.seconds > 0.2:
            load.ranges.next_rows = max(1_024, int(result.rows / result.seconds * self._limits.query_seconds / 2))
