"""Asking SQL Server: where a table is cut, and the figures of each range, one statement for all figures of a range.

A range's figures come of one pass over its rows (of one moment under SNAPSHOT); the ranges of a table do not, and need not:
each is compared with the same range in Delta by itself.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from singer_arrow import names, types
from singer_arrow.documents import ComparedColumn, KeyRange, RangeFigures, SourceFigures, SourceTable
from singer_arrow.errors import ArrowSingerError
from singer_arrow.facts import utc_text
from tap_mssql.config.settings import Settings
from tap_mssql.errors import TapError
from tap_mssql.plan import key_ranges, statements
from tap_mssql.plan.key_order import KeyOrder
from tap_mssql.plan.table_opening import open_table
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.reconcile import figures
from tap_mssql.server.retry import DRIVER_ERRORS, retrying
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import SqlColumn

RANGES = 50  # of a table, about
LEAST_ROWS = 200  # of a range: smaller ones save nothing when they are read again
LIMITED = "its start_value or end_value limits what is loaded, so that Delta need not hold the whole table"

T = TypeVar("T")
log = logging.getLogger("tap-mssql")


def ask(requests: Sequence[TableRequest], settings: Settings, isolation: str) -> SourceFigures:
    """The figures of streams, some at once; what stands in the way of one is its `problem`, and stops no other."""
    with _sessions(settings, isolation) as free, ThreadPoolExecutor(settings.max_parallel) as pool:

        def one(request: TableRequest) -> SourceTable:
            session = free.get()
            try:
                return _figures(session, request, settings)
            finally:
                free.put(session)

        tables = list(pool.map(one, requests))
    return SourceFigures(asked_at=utc_text(datetime.now(UTC)), tables=tables)


def unknown(stream: str, why: str) -> SourceTable:
    """What is said of a stream that cannot be read as asked: neither its table in Delta nor its figures are known."""
    return SourceTable(stream=stream, table="", mode="overwrite", key_columns=[], bounds=[], columns=[], ranges=[], problem=why)


def _figures(session: Session, request: TableRequest, settings: Settings) -> SourceTable:
    try:
        if request.is_backfill:
            return _described(request, problem=LIMITED)
        table = _Table(session, request.repairing(()), settings)
        # Columns that this login may not read are left out, or refused, as when they are loaded.
        table = replace(table, request=table.attempt(lambda: open_table(session, table.request, settings)).request)
        bounds = table.bounds()
        ends = [None, *bounds, None]
        ranges = [table.figures(KeyRange(*pair)) for pair in pairwise(ends)]
    except (TapError, ArrowSingerError) as error:
        return _described(request, problem=str(error))
    log.info("stream %s: figures of %d ranges, %d rows", request.stream, len(ranges), sum(each.rows for each in ranges))
    return _described(replace(request, columns=table.request.columns), bounds, ranges)


def _described(
    request: TableRequest, bounds: Sequence[str] = (), ranges: Sequence[RangeFigures] = (), problem: str = ""
) -> SourceTable:
    in_delta = names.column_names(request.stream, [c.name for c in request.columns])
    return SourceTable(
        stream=request.stream,
        table=names.table_name(request.table.schema, request.table.name),
        mode=request.mode,
        key_columns=list(request.key),
        bounds=list(bounds),
        columns=[
            ComparedColumn(c.name, in_delta[c.name], types.type_text(c.arrow.type), list(figures.figures(c)))
            for c in request.columns
        ],
        ranges=list(ranges),
        problem=problem,
        on_delete=request.on_delete,
    )


class _Table(Struct, frozen=True):
    """One table being asked, on one session."""

    session: Session
    request: TableRequest
    settings: Settings

    @property
    def column(self) -> SqlColumn | None:
        return key_ranges.cutting_column(self.request.table, self.request.key)

    def bounds(self) -> list[str]:
        """The upper ends of the ranges but the last."""
        if self.column is None:
            return []
        table, order = self.request.table, KeyOrder((self.column,))
        rows = self.request.estimated_rows or int(self._one(statements.count(table.quoted, self.request.where))[0])
        size = max(LEAST_ROWS, -(-rows // RANGES))
        found: list[str] = []
        while True:
            rest = statements.all_of(order.between((found[-1],) if found else None, None), self.request.where)
            sql = statements.boundary(table.quoted, order, rest, size)
            row = self.attempt(lambda sql=sql: self.session.one(sql))  # type: ignore[misc]
            if row is None:
                return found
            found.append(str(row[0]))
            if len(found) % RANGES == 0:
                size *= 2  # the estimate was too low, and would make ranges without end

    def figures(self, range_: KeyRange) -> RangeFigures:
        """Rows and figures of a range."""
        where = statements.all_of(key_ranges.condition(self.column, [range_]) if self.column else "", self.request.where)
        asked = [(c, name, sql) for c in self.request.columns for name, sql in figures.figures(c).items()]
        rows, *values = self._one(statements.figures(self.request.table.quoted, [sql for _, _, sql in asked], where))
        found: dict[str, dict[str, str | None]] = {c.name: {} for c in self.request.columns}
        for (column, name, _), value in zip(asked, values, strict=True):
            found[column.name][name] = figures.text(column, name, value)
        return RangeFigures(int(rows), found)

    def _one(self, sql: str) -> tuple[Any, ...]:
        return self.attempt(lambda: self.session.exactly_one(sql, may_scan=True))

    def attempt(self, action: Callable[[], T]) -> T:
        """An action on the session, tried again on a new connection where its error passes by itself."""
        for attempt in retrying(self.settings, f"stream {self.request.stream}, its figures", safe="Nothing was changed"):
            with attempt:
                try:
                    return action()
                except DRIVER_ERRORS:
                    self.session.close()
                    raise
        raise AssertionError("retrying gives up with an error")


@contextmanager
def _sessions(settings: Settings, isolation: str) -> Iterator[queue.SimpleQueue[Session]]:
    """As many sessions as may read at once; one over which nothing comes any more is cut."""
    sessions = [Session(settings, isolation) for _ in range(settings.max_parallel)]
    free: queue.SimpleQueue[Session] = queue.SimpleQueue()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for each in sessions:
                if each.is_silent():
                    each.sever()

    threading.Thread(target=watch, daemon=True, name="watch").start()
    for each in sessions:
        free.put(each)
    try:
        yield free
    finally:
        over.set()
        for each in sessions:
            each.close()
