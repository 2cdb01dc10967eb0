"""Opening a load: with what an earlier run has read of it, where that is still so."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from singer_arrow.documents import Cursor
from tap_mssql.read.load import Load
from tap_mssql.read.range_queue import RangeQueue
from tap_mssql.read.ranges import FinishedRange, Range, missing
from tap_mssql.read.source import LoadPlan, Source
from tap_mssql.read.spool import SavedPlan, is_fresh

log = logging.getLogger("tap-mssql")


def open_load(load: Load, source: Source, resume_hours: float) -> None:
    """Makes a load ready to be read. Raises what `Source.open` raises."""
    load.begin(source.open(load.request))
    earlier = load.spool.unfinished() if resume_hours and not load.restarts else None
    kept = [] if earlier is None else _taken_over(load, source, earlier, resume_hours)
    load.spool.clear(load.load_id, kept)
    load.spool.begin(_saved(load))
    load.ranges = RangeQueue(_ranges_left(load.opened, kept), kept)


def _taken_over(load: Load, source: Source, earlier: SavedPlan, resume_hours: float) -> list[FinishedRange]:
    """The finished ranges of an earlier run that can still be used; the load is then that run's load."""
    why_not = _why_not(earlier, load, resume_hours)
    if why_not:
        log.info("stream %s: what an earlier run left is not used: %s", load.stream, why_not)
        return []
    plan = load.opened
    if plan.window:
        # The upper end is what it was when the load began: rows that came later are the next load's.
        plan = load.plan = replace(plan, window=Cursor(plan.window.column, plan.window.from_, earlier.until))
    load.load_id, load.started_at = earlier.load_id, earlier.started_at
    finished = load.spool.finished(load.load_id)
    load.look(sum(each.source_rows for each in finished))
    kept = [each for each in finished if source.count(plan, each.range) == each.source_rows]
    if kept:
        note = f"{len(kept)} ranges with {sum(r.rows for r in kept):,} rows, read by an earlier run, counted again at the source"
        log.info("stream %s: going on with %s", load.stream, note)
        load.notes.append(note)
    return kept


def _why_not(earlier: SavedPlan, load: Load, hours: float) -> str:
    """Why the load can't use what an earlier run read; empty text where it can."""
    if not is_fresh(earlier, hours):
        return f"it began at {earlier.started_at}, more than {hours:g} hours ago (resume_hours)"
    if not load.opened.may_end_at(earlier.until):
        return f"the database has not come to {earlier.until}, where it was to end: it was restored"
    differences = earlier.differences(_saved(load))
    return f"{', '.join(differences)} changed" if differences else ""


def _saved(load: Load) -> SavedPlan:
    plan = load.opened
    until = plan.window.to if plan.window else None
    return SavedPlan(load_id=load.load_id, started_at=load.started_at, until=until, identity=plan.identity)


def _ranges_left(plan: LoadPlan, kept: Sequence[FinishedRange]) -> list[Range]:
    done = [each.range for each in kept]
    left = missing(r for r in done if r.kind == "keys") if "keys" in plan.kinds else []
    found = {r.kind for r in done}
    left += [Range(kind="nulls", place=(0,))] if "nulls" in plan.kinds and "nulls" not in found else []
    left += [Range(kind="deletes", place=(0,))] if "deletes" in plan.kinds and "deletes" not in found else []
    left += [Range(kind="scan")] if "scan" in plan.kinds and "scan" not in found else []
    return left
