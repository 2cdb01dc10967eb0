"""The proof that a load is whole, and the load document that says so."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from singer_arrow import again, documents
from singer_arrow.documents import LoadDocument
from singer_arrow.facts import merged, utc_text
from singer_arrow.parts import PartLimits
from tap_mssql.errors import Drifted, ReadFailed
from tap_mssql.read.load import Load
from tap_mssql.read.ranges import FinishedRange, Range, in_order
from tap_mssql.read.source import LoadPlan, Source


def at_the_end(load: Load, source: Source) -> int | None:
    """The rows of the whole table at the end of the load's window, where the source counts them.

    Raises Drifted for a table that was emptied between two ranges: it would be staged by halves; ReadFailed for a given key that
    more than one row has: a merge would keep one of them. And what the driver raises.
    """
    finished, plan = load.ranges.finished, load.opened
    had_rows = len(finished) > 1 and not plan.is_part and any(each.rows for each in finished)
    if had_rows and source.boundary(plan, Range(), 1) is None:
        table = f"{plan.source_schema}.{plan.source_table}"
        raise Drifted(load.stream, table, ["it was emptied"], lambda: load.request, is_same_shape=True)
    if plan.proves_key:
        load.look(sum(each.rows for each in finished))
        if repeated := source.repeated_key(plan):
            load.spool.clear()  # the next run reads the rows as they are then
            raise ReadFailed(
                f"stream {load.stream}: its key ({', '.join(plan.key_columns)}) does not tell its rows apart: {repeated}",
                safe="Nothing of this load is staged, Delta is as it was",
                action="correct the rows at the source and run again; or name columns in `key` that identify a row: then "
                f"entrypoint.sh refresh {shlex.quote(load.stream)} reads the stream whole, since Delta may lack some rows",
            )
    return source.table_rows(plan)


def complete(load: Load, isolation: str, table_rows: int | None) -> None:
    """Proves that the ranges make the whole, and writes the load document: from here on the load exists for a target.

    A load that read only what the one before had read, too, is none: it gets no document. `table_rows`: of the whole table at
    the end of the window, where the source counted them. Raises ReadFailed where the ranges do not make the whole.
    """
    plan = load.opened
    try:
        ranges = in_order(load.ranges.finished)
    except ValueError as error:
        raise ReadFailed(f"stream {load.stream}: {error}", safe=ReadFailed.SAFE, action="report this as a bug") from None
    deletes = [each for each in ranges if each.range.kind == "deletes"]
    ranges = [each for each in ranges if each.range.kind != "deletes"]
    files = [part for each in ranges for part in each.files] or load.writer(Range(), PartLimits()).close()
    if plan.known is not None and plan.known == again.whole(plan.schema, load.folder, files):
        load.spool.clear()
        return
    load.again = again.fingerprint(plan.again, plan.schema, load.folder, files) if plan.again else None
    files += [msgspec.structs.replace(part, deletes=True) for each in deletes for part in each.files]
    document = LoadDocument(
        load_id=load.load_id,
        run_id=load.run_id,
        stream=load.stream,
        source_schema=plan.source_schema,
        source_table=plan.source_table,
        comment=plan.comment,
        mode=plan.mode,
        key_columns=list(plan.key_columns),
        cursor=plan.window,
        schema=documents.columns_of(load.stream, plan.schema, plan.source_types, plan.collations, plan.comments),
        files=files,
        rows=sum(each.rows for each in ranges),
        source_rows=sum(each.source_rows for each in ranges),
        table_rows=plan.table_rows,
        snapshot_rows=table_rows,
        deletes=sum(each.rows for each in deletes),
        source_deletes=sum(each.source_rows for each in deletes) if deletes else None,
        on_delete=plan.on_delete,
        columns={f.name: merged(f.type, [each.columns[f.name] for each in ranges]) for f in plan.schema},
        ranges=list(plan.ranges) or None,
        started_at=load.started_at,
        ended_at=utc_text(datetime.now(UTC)),
        notes=[
            f"isolation: {isolation}",
            f"the source looked at {load.looks:,} rows in this run",
            *load.notes,
            *plan.notes,
            *_notes(plan, ranges),
        ],
    )
    documents.write(documents.document_path(load.folder, load.load_id), document)
    load.document = document


def _notes(plan: LoadPlan, ranges: Sequence[FinishedRange]) -> list[str]:
    """What a reader of the load should know of its rows."""
    notes = []
    for column in plan.schema.names:
        count = sum(each.finer.get(column, 0) for each in ranges)
        kept = "; the exact text is in the column beside it" if f"{column}_100ns" in plan.schema.names else ""
        if count:
            notes.append(
                f"{column}: {count} values had a digit finer than a microsecond, which timestamp[us] does not hold{kept}"
            )
    name = plan.window.column if plan.window else None
    if name is not None:
        nulls = sum(each.rows - each.columns[name].non_null for each in ranges)
        notes += [f"{nulls} rows have no value in {name}: each load of this stream reads them"] if nulls else []
    changed = [str(each.range) for each in ranges if each.changed]
    if changed:
        notes.append(f"rows came or went while {len(changed)} of {len(ranges)} ranges were read; the first was {changed[0]}")
    return notes
