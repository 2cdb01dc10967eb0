"""Opening a table: what this login may read of it, and the window of an incremental load."""

from __future__ import annotations

import logging

from msgspec.structs import replace

from singer_arrow.errors import SelectionRefused
from tap_mssql.config.settings import Settings
from tap_mssql.plan import drift, lookback, statements, strategy, tracking
from tap_mssql.plan.select_list import arrow_schema, select_list
from tap_mssql.plan.table_plan import TablePlan, plan_table
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.plan.window import UNIQUE, Window
from tap_mssql.server import discovery
from tap_mssql.server.diagnosis import diagnose, driver_text
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import SqlColumn

log = logging.getLogger("tap-mssql")


def open_table(session: Session, request: TableRequest, settings: Settings) -> TablePlan:
    """How a table is read. Raises Drifted or SelectionRefused, or what the driver raises."""
    version = drift.refuse(session, request)
    return replace(_planned(session, request, settings), version=version)


def _planned(session: Session, request: TableRequest, settings: Settings) -> TablePlan:
    refuse_condition(request, session)
    asked, request = request, permitted(request, session, settings)
    for reason in request.left_out[len(asked.left_out) :]:
        log.warning("stream %s: left out (on_unreadable: skip): %s", request.stream, reason)
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


def permitted(request: TableRequest, session: Session, settings: Settings) -> TableRequest:
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
    reasons = tuple(f"{name}: this login may not SELECT it" for name in sorted(denied))
    return replace(request, columns=left, left_out=(*request.left_out, *reasons))


def refuse_condition(request: TableRequest, session: Session) -> None:
    """Raises SelectionRefused where the server does not take the stream's `where`; and what the driver raises."""
    if not request.where:
        return
    try:
        session.one(statements.no_rows(request.table.quoted, request.where))
    except DRIVER_ERRORS as error:
        if diagnose(error).transient:
            raise
        raise SelectionRefused(
            f"stream {request.stream}: the server does not take its where, {request.where}: {driver_text(error)}",
            safe="Nothing of this stream was read, Delta is as it was",
            action="correct where in stream_options",
        ) from error


def nulls(request: TableRequest, session: Session) -> tuple[str, ...]:
    """What is said of rows without a replication key, of a stream without a key. Raises SelectionRefused where they are not
    to be left out: which of them an earlier load has read, nothing would tell."""
    column = request.replication_key
    if column is None or not request.may_double or not column.nullable:
        return ()
    found = session.one(statements.without_value(request.table.quoted, column, request.where, request.skips_nulls), may_scan=True)
    if not request.skips_nulls and found is not None:
        raise SelectionRefused(
            f"stream {request.stream} has no key, and rows of its table have no value in replication key {column.name}: "
            "when they come again, nothing tells them from those that were read",
            safe="Nothing of this stream was read, Delta is as it was",
            action="give the stream a key in stream_options, or another replication key; or set on_null_replication_key to "
            "skip, which leaves such rows out",
        )
    count = int(found[0]) if found else 0
    return (f"{count:,} rows without a value in {column.name} are left out (on_null_replication_key: skip)",) if count else ()


def _window(request: TableRequest, session: Session) -> Window:
    """The bounds of an incremental load. What is committed later has a value from the bookmark on, or `lookback` catches it.

    A stream with a key reads the bookmark's own value again, since a row that was committed meanwhile may have it too (of a
    rowversion none has), and every row without a value: its merge takes what came before for the same row. Without a key both
    would be double. So the greatest value waits until there is a greater one, and its rows come together with the next load.
    """
    column = request.replication_key
    assert column is not None
    notes = nulls(request, session)
    if request.is_backfill:
        top = request.end_value or _text(session, statements.maximum(request.table.quoted, column, request.where))
        return Window(column, request.start_value, top, includes_from=True, moves_bookmark=False)
    top = _text(session, statements.maximum(request.table.quoted, column, request.where))
    waits = request.may_double and column.type not in UNIQUE
    if waits:
        notes = (*notes, waiting(column))
    if request.bookmark is None:
        return Window(column, None, top, includes_nulls=bool(request.key) and column.nullable, excludes_to=waits, notes=notes)
    below = _text(session, statements.is_below(column, top, request.bookmark)) if top is not None else "1"
    if below == "1":
        log.warning(
            "stream %s: the source's largest %s is %s, below the bookmark %s: nothing new is read, the bookmark stays",
            request.stream, column.name, top, request.bookmark,
        )  # fmt: skip
        top = request.bookmark
    if waits:
        is_open = request.bookmark_is_open or _text(session, statements.is_below(column, request.bookmark, top or "")) == "1"
        return Window(column, request.bookmark, top, includes_from=request.bookmark_is_open, excludes_to=is_open, notes=notes)
    from_ = request.bookmark
    if request.lookback:
        if not lookback.is_possible(column):
            raise SelectionRefused(
                f"stream {request.stream}: lookback cannot be subtracted from replication key {column.name}, a {column.declared}",
                action="remove lookback from the stream's stream_options",
            )
        from_ = lookback.before(column, request.bookmark, request.lookback)
    is_keyed = request.mode == "merge"
    may_tie = is_keyed and column.type not in UNIQUE
    return Window(column, from_, top, includes_from=may_tie, includes_nulls=is_keyed and column.nullable, notes=notes)


def waiting(column: SqlColumn) -> str:
    """What is said of a stream without a key, whose greatest value waits."""
    return f"no key: rows with the greatest {column.name} wait until there is a greater one, so that none is missed or double"


def _text(session: Session, sql: str) -> str | None:
    value = session.exactly_one(sql, may_scan=True)[0]
    return None if value is None else str(value)
