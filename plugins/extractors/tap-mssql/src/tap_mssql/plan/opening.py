"""Opening a load: the window is fixed, the order chosen, and what an earlier try has read is looked through."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from singer_arrow import names
from singer_arrow.facts import utc_text
from tap_mssql.config.settings import Settings
from tap_mssql.errors import SelectionRefused
from tap_mssql.plan import statements, strategy, window
from tap_mssql.plan.select_list import items
from tap_mssql.plan.window import Window
from tap_mssql.read import drift
from tap_mssql.read.load import Load, Shape, Wanted
from tap_mssql.read.ranges import Finished, Range, missing
from tap_mssql.read.spool import Plan, is_fresh
from tap_mssql.server import discovery
from tap_mssql.server.session import Session

log = logging.getLogger("tap-mssql")


def open_load(load: Load, session: Session, settings: Settings) -> None:
    """Makes a load ready to be read. Raises Drifted or SelectionRefused, or what the driver raises."""
    version = drift.refuse(session, load.stream, load.wanted.table)
    load.wanted = wanted = _permitted(load.wanted, session, settings)
    chosen = strategy.choose(wanted.table, wanted.cursor)
    started = datetime.now(UTC)
    shape = Shape(
        load_id=names.load_id(load.run_id, "tap-mssql", load.stream, started),
        started_at=utc_text(started),
        items=items(load.stream, wanted.columns, settings),
        order=chosen.order,
        by_cursor=chosen.by_cursor,
        window=_window(wanted, session) if wanted.cursor else None,
        version=version,
    )
    if load.restarts:
        shape.notes.append("the table changed while it was read: begun again with its new columns (on_schema_drift: evolve)")
    _begin(load, shape, session, settings)


def _permitted(wanted: Wanted, session: Session, settings: Settings) -> Wanted:
    """Without the columns that this login may not read, where the settings allow it. Raises SelectionRefused where not."""
    with session.hearing():
        denied = discovery.denied(session.connection, wanted.table) & {c.name for c in wanted.columns}
    if not denied:
        return wanted
    words = f"this login may not SELECT {', '.join(sorted(denied))} of {wanted.table.schema}.{wanted.table.name}"
    needed = denied & {*wanted.key, *([wanted.cursor.name] if wanted.cursor else [])}
    left = tuple(c for c in wanted.columns if c.name not in denied)
    if settings.on_unreadable == "fail" or needed or not left:
        raise SelectionRefused(
            f"stream {wanted.stream}: {words}. Nothing of it is staged. GRANT SELECT on it, deselect it"
            + (" (a key is always read)" if needed else ", or set on_unreadable to skip")
        )
    log.warning("stream %s: %s: left out (on_unreadable)", wanted.stream, words)
    told = tuple(f"{name}: this login may not SELECT it" for name in sorted(denied))
    return replace(wanted, columns=left, left_out=(*wanted.left_out, *told))


def _window(wanted: Wanted, session: Session) -> Window:
    """The bounds of an incremental load. What is committed later has a later value, or is caught by `lookback`."""
    column = wanted.cursor
    assert column is not None
    if wanted.is_backfill:
        top = wanted.end_value or _text(session, statements.maximum(wanted.table, column))
        return Window(column, wanted.start_value, top, includes_from=True, moves_bookmark=False)
    top = _text(session, statements.maximum(wanted.table, column))
    if wanted.bookmark is None:
        return Window(column, None, top, includes_nulls=column.nullable)
    below = _text(session, statements.is_below(column, top, wanted.bookmark)) if top is not None else "1"
    if below == "1":
        log.warning(
            "stream %s: the source's largest %s is %s, below the bookmark %s: nothing new is read, the bookmark stays",
            wanted.stream, column.name, top, wanted.bookmark,
        )  # fmt: skip
        top = wanted.bookmark
    from_ = wanted.bookmark
    if wanted.lookback:
        earlier = window.before(column, wanted.bookmark, wanted.lookback)
        if earlier is None:
            raise SelectionRefused(
                f"stream {wanted.stream}: lookback: nothing can be subtracted from a {column.declared}; leave it out"
            )
        from_ = _text(session, f"SELECT {earlier}") or wanted.bookmark
    return Window(column, from_, top)


def _text(session: Session, sql: str) -> str | None:
    value = session.must(sql, patient=True)[0]
    return None if value is None else str(value)


def _begin(load: Load, shape: Shape, session: Session, settings: Settings) -> None:
    plan = _plan(load.wanted, shape)
    kept: list[Finished] = []
    earlier = load.spool.unfinished() if settings.resume_hours else None
    if earlier is not None and not load.restarts:
        why = _why_not(earlier, plan, settings.resume_hours)
        if why:
            log.info("stream %s: what an earlier run left is not used: %s", load.stream, why)
        else:
            shape.load_id, shape.started_at = earlier.load_id, earlier.started_at
            if shape.window and earlier.window:
                shape.window = replace(shape.window, to=earlier.window["to"])
            plan = earlier
    load.begin(shape, [], [])
    if plan is earlier:
        kept = [record for record in load.spool.finished(plan.load_id) if _still_so(load, record, session)]
        if kept:
            told = (
                f"{len(kept)} ranges with {sum(r.rows for r in kept):,} rows, read by an earlier run, counted again at the source"
            )
            log.info("stream %s: going on with %s", load.stream, told)
            shape.notes.append(told)
    load.spool.clear(plan.load_id, kept)
    load.spool.begin(plan)
    load.begin(shape, _ranges(shape, kept), kept)


def _ranges(shape: Shape, kept: list[Finished]) -> list[Range]:
    done = [record.range for record in kept]
    if shape.order is None:
        return [] if done else [Range(kind="scan")]
    ranges = missing(r for r in done if r.kind == "keys")
    if shape.window and shape.by_cursor and shape.window.includes_nulls and not any(r.kind == "nulls" for r in done):
        ranges.append(Range(kind="nulls", place=(0,)))
    return ranges


def _still_so(load: Load, record: Finished, session: Session) -> bool:
    return bool(
        session.must(statements.facts(load.wanted.table, (), load.condition(record.range)), patient=True)[0] == record.source_rows
    )


def _plan(wanted: Wanted, shape: Shape) -> Plan:
    columns = [[i.name, i.source_type, i.expression, "" if i.field.nullable else "NOT NULL"] for i in shape.items]
    order = [c.name for c in shape.order.columns] if shape.order else []
    window = shape.window.as_json() if shape.window else None
    return Plan(
        load_id=shape.load_id,
        started_at=shape.started_at,
        object_id=wanted.table.object_id,
        columns=columns,
        key=list(wanted.key),
        order=order,
        mode=wanted.mode,
        window=window,
    )


def _why_not(earlier: Plan, plan: Plan, hours: float) -> str:
    """Why a new load can't use what an earlier one read; empty text where it can."""
    if not is_fresh(earlier, hours):
        return f"it began at {earlier.started_at}, more than {hours:g} hours ago (resume_hours)"
    if earlier.window and plan.window and "to" in earlier.window:
        # The upper end is what it was when the load began: rows that came later are the next load's.
        plan = _with_end(plan, earlier.window["to"])
    told = earlier.differences(plan)
    return f"{', '.join(told)} changed" if told else ""


def _with_end(plan: Plan, to: object) -> Plan:
    return msgspec.structs.replace(plan, window={**(plan.window or {}), "to": to})
