"""SQL Server as a source of ranges: each method is a statement or two of statements.py on one session."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TypeVar

from tap_mssql.config.settings import Settings
from tap_mssql.errors import ReadFailed, Stopped
from tap_mssql.plan import drift, statements, tracking
from tap_mssql.plan.select_list import row_bytes
from tap_mssql.plan.table_answer import TableAnswer
from tap_mssql.plan.table_opening import open_table
from tap_mssql.plan.table_plan import TablePlan
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.read.ranges import Bound, Range
from tap_mssql.read.source import Source
from tap_mssql.server.retry import DRIVER_ERRORS, retrying
from tap_mssql.server.session import Session

T = TypeVar("T")
COUNTED_ROWS = 1_000_000  # of tables whose rows are counted to be compared with Delta's
_ISOLATION = {
    "SNAPSHOT": "snapshot, one per range",
    "READ COMMITTED": "read committed: rows changed while a range was read may be seen before or after the change",
}


class TableSource(Source):
    """See read/source.py; `isolation` is the transaction isolation level, SNAPSHOT or READ COMMITTED."""

    def __init__(self, settings: Settings, isolation: str) -> None:
        self._settings = settings
        self._session = Session(settings, isolation)
        self.isolation = _ISOLATION[isolation]
        self.sees_one_state = isolation == "SNAPSHOT"

    def open(self, request: TableRequest) -> TablePlan:
        """How the table is read. Raises Drifted or SelectionRefused, and what the driver raises."""
        return open_table(self._session, request, self._settings)

    def version(self, plan: TablePlan, known: str) -> str:
        """The table's version. Raises Drifted, also where changes are no longer all known, and what the driver raises."""
        request = plan.request
        found = drift.refuse(self._session, request, known)
        if plan.changed_since is not None and request.since is not None:
            tracking.refuse_expired(self._session, request.stream, request.table, request.since, request.whole())
        return found

    def table_rows(self, plan: TablePlan) -> int | None:
        """Of a load of changes, unless the table is large: counting it would cost the server more than the load."""
        small = (plan.request.table.row_estimate or 0) <= COUNTED_ROWS
        if plan.changed_since is None or plan.window is None or plan.window.to is None or not small:
            return None
        return tracking.exact_rows(self._session, plan.request.table, int(plan.window.to), plan.request.where)

    def count(self, plan: TablePlan, range_: Range) -> int:
        """Counts a range's rows."""
        table, where = plan.request.table, plan.request.where
        if range_.kind == "deletes":
            sql = tracking.count_deleted(table, plan.since, where)
        else:
            sql = statements.count(plan.source, plan.condition(range_))
        return int(self._session.exactly_one(sql, may_scan=True)[0])

    def row_bytes(self, plan: TablePlan, range_: Range, most: int | None) -> int:
        """Looks for the longest values of columns whose declaration has no limit."""
        if range_.kind == "deletes":
            return row_bytes(plan.columns_of_key, 0)
        columns, order = plan.request.columns, plan.order if range_.kind == "keys" else None
        sql = statements.longest(plan.source, statements.unbounded(columns), plan.condition(range_), order, most)
        return row_bytes(columns, sum(int(value or 0) for value in self._session.exactly_one(sql, may_scan=True)))

    def boundary(self, plan: TablePlan, range_: Range, rows: int) -> Bound | None:
        """The key of a range's row of that number; None where it has fewer."""
        order = plan.order
        if order is None:
            return None
        found = self._session.one(statements.boundary(plan.source, order, plan.cutting_condition(range_), rows))
        return None if found is None else tuple(str(text) for text in found)

    def rows(self, plan: TablePlan, range_: Range, batch_rows: int, most: int | None = None) -> TableAnswer:
        """A range's rows in the declared types."""
        return TableAnswer(self._session, plan, range_, batch_rows, most)

    def repeated_key(self, plan: TablePlan) -> str | None:
        """A key that more than one row of the load has, by the collations of its columns."""
        columns = plan.columns_of_key
        found = self._session.one(statements.repeated(plan.source, columns, plan.whole_condition), may_scan=True)
        if found is None:
            return None
        *values, rows = ("NULL" if value is None else value for value in found)
        return f"{rows} rows have {', '.join(f'{c.name} = {value}' for c, value in zip(columns, values, strict=True))}"

    def snapshot(self) -> AbstractContextManager[object]:
        """One state of the database under SNAPSHOT isolation, else nothing."""
        return self._session.transaction()

    def retry(self, request: TableRequest, what: str, action: Callable[[], T], stopping: threading.Event) -> T:
        """An action on the session, tried again on a new connection where the error passes by itself."""
        try:
            for attempt in retrying(self._settings, f"stream {request.stream}, {what}", stopping=stopping):
                with attempt:
                    try:
                        return action()
                    except DRIVER_ERRORS:
                        self._session.close()
                        raise
        except ReadFailed:
            # A table that is gone or has other columns says so better than the statement that found no column.
            if not stopping.is_set():
                with suppress(*DRIVER_ERRORS):
                    drift.refuse(self._session, request)
            raise
        raise Stopped(request.stream)

    def is_silent(self) -> bool:
        """Whether an answer has been waited for longer than `idle_timeout` allows."""
        return self._session.is_silent()

    def sever(self) -> None:
        """Ends the connection's sockets."""
        self._session.sever()

    def close(self) -> None:
        """Gives the connection up."""
        self._session.close()
