"""Opening a table: what this login may read of it, and the window of an incremental load."""

from __future__ import annotations

import logging
from dataclasses import replace

from singer_arrow.errors import SelectionRefused
from tap_mssql.config.settings import Settings
from tap_mssql.plan import drift, statements, strategy, tracking, window
from tap_mssql.plan.select_list import arrow_schema, select_list
from tap_mssql.plan.table_plan import TablePlan, plan_table
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.plan.window import UNIQUE, Window
from tap_mssql.server import discovery
from tap_mssql.server.session import Session

log = logging.getLogger("tap-mssql")


def open_table(session: Session, request: TableRequest, settings: Settings) -> TablePlan:
    """How a table is read. Raises Drifted or SelectionRefused, or what the driver raises."""
    drift.refuse(session, request)
    request = _permitted(request, session, settings)
    items = select_list(request.stream, request.columns, settings)
    request = request.compared(arrow_schema(items))
    for note in request.column_notes:
        log.warning("stream %s: %s", request.stream, note)
    chosen = strategy.choose(request.table, request.replication_key)
    if request.is_log_based:
        changes = tracking.look(session, request.stream, request.table, request.since)
        for note in changes.notes:
            log.warning("stream %s: %s", request.stream, note)
        if changes.since is None:
            request = request.whole()
        return plan_table(request, items, chosen, None, changes)
    return plan_table(request, items, chosen, _window(request, session) if request.replication_key else None)


def _permitted(request: TableRequest, session: Session, settings: Settings) -> TableRequest:
    """Without the columns that this login may not read, where the settings allow it. Raises SelectionRefused where not."""
    with session.awaiting_answer():
        denied = discovery.denied(session.connection, request.table) & {c.name for c in request.columns}
    if not denied:
        return request
    words = f"this login may not SELECT {', '.join(sorted(denied))} of {request.table.schema}.{request.table.name}"
    needed = denied & {*request.key, *([request.replication_key.name] if request.replication_key else [])}
    left = tuple(c for c in request.columns if c.name not in denied)
    if settings.on_unreadable == "fail" or needed or not left:
        always = "key columns are always read: GRANT SELECT on them, or deselect the stream"
        raise SelectionRefused(
            f"stream {request.stream}: {words}",
            safe="Nothing of this load is staged",
            action=always if needed else "GRANT SELECT on it, deselect the columns, or set on_unreadable to skip",
        )
    log.warning("stream %s: %s: left out (on_unreadable: skip)", request.stream, words)
    reasons = tuple(f"{name}: this login may not SELECT it" for name in sorted(denied))
    return replace(request, columns=left, left_out=(*request.left_out, *reasons))


def _window(request: TableRequest, session: Session) -> Window:
    """The bounds of an incremental load. What is committed later has a value from the bookmark on, or `lookback` catches it.

    A stream with a key reads the bookmark's own value again, since a row that was committed meanwhile may have it too (of a
    rowversion none has), and every row without a value: its merge takes what came before for the same row.
    """
    column = request.replication_key
    assert column is not None
    if request.is_backfill:
        top = request.end_value or _text(session, statements.maximum(request.table, column))
        return Window(column, request.start_value, top, includes_from=True, moves_bookmark=False)
    top = _text(session, statements.maximum(request.table, column))
    if request.bookmark is None:
        return Window(column, None, top, includes_nulls=column.nullable)
    below = _text(session, statements.is_below(column, top, request.bookmark)) if top is not None else "1"
    if below == "1":
        log.warning(
            "stream %s: the source's largest %s is %s, below the bookmark %s: nothing new is read, the bookmark stays",
            request.stream, column.name, top, request.bookmark,
        )  # fmt: skip
        top = request.bookmark
    from_ = request.bookmark
    if request.lookback:
        earlier = window.before(column, request.bookmark, request.lookback)
        if earlier is None:
            raise SelectionRefused(
                f"stream {request.stream}: lookback cannot be subtracted from replication key {column.name}, a {column.declared}",
                action="remove lookback from the stream's stream_options",
            )
        from_ = _text(session, f"SELECT {earlier}") or request.bookmark
    is_keyed = request.mode == "merge"
    may_tie = is_keyed and column.type not in UNIQUE
    return Window(column, from_, top, includes_from=may_tie, includes_nulls=is_keyed and column.nullable)


def _text(session: Session, sql: str) -> str | None:
    value = session.exactly_one(sql, may_scan=True)[0]
    return None if value is None else str(value)
