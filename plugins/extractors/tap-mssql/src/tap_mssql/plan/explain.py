"""`tap-mssql --plan`: what a run would read and how, from the catalog alone; no table is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from singer_arrow.errors import ArrowSingerError, SelectionRefused
from tap_mssql.config.settings import Settings
from tap_mssql.plan import statements, strategy, table_opening, tracking
from tap_mssql.plan.select_list import arrow_schema, select_list
from tap_mssql.plan.stream_choice import StreamChoice
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.plan.window import UNIQUE
from tap_mssql.server.session import Session

ROWS_PER_SECOND = 150_000  # of one connection, of rows of BYTES_PER_ROW: a guess, for want of a measurement
BYTES_PER_ROW = 150
RANGE_SECONDS = 0.5  # of max_query_seconds: what ranges are cut to

_BINARY = re.compile(r"_BIN2?(_UTF8)?$", re.IGNORECASE)  # learn.microsoft.com, "Collation and Unicode support"
_ENDLESS = 100_000  # characters a line may have: no name is ever cut


class Step(Struct, frozen=True):
    """One stream. Estimates are the server's statistics; None where it has none, or where a window or `where` decides.

    `looks`: how often the server looks at each row while one reader reads it.
    """

    stream: str
    mode: str
    key: list[str]
    order: list[str]
    replication_key: str | None
    bookmark: str | None
    where: str | None
    ranges: int | None
    rows: int | None
    bytes: int | None
    seconds: float | None
    looks: int
    warnings: list[str]


def steps(
    chosen: Iterable[tuple[StreamChoice, Mapping[str, Any]]],
    settings: Settings,
    isolation: str,
    session: Session,
    refused: dict[str, ArrowSingerError],
) -> list[Step]:
    """The steps of streams with their state; those that would not be read as asked are added to `refused`, with why."""
    found = []
    for choice, state in chosen:
        try:
            request = table_opening.permitted(choice.request(state), session, settings)
            found.append(_asked(step(request, settings, isolation), request, session))
        except SelectionRefused as error:
            refused[choice.stream] = error
    return found


def step(request: TableRequest, settings: Settings, isolation: str) -> Step:
    """What a run would do with one stream at an isolation level.

    Raises SelectionRefused where its columns do not fit those of its bookmark.
    """
    request = request.compared(arrow_schema(select_list(request.stream, request.columns, settings)))
    chosen = strategy.choose(request.table, request.replication_key)
    table, window = request.table, request.bookmark is not None or request.is_backfill or bool(request.where)
    rows = None if window else table.row_estimate
    size = None if window else table.byte_estimate
    rate = ROWS_PER_SECOND * BYTES_PER_ROW / max(table.row_bytes or BYTES_PER_ROW, BYTES_PER_ROW)
    most = max(1, min(settings.range_rows, int(rate * settings.max_query_seconds * RANGE_SECONDS)))
    ranges = 1 if chosen.order is None else None if rows is None else max(1, -(-rows // most))
    readers = min(ranges or 1, settings.max_parallel)
    seconds = None if rows is None else rows / min(rate * readers, settings.max_rows_per_second or rate * readers)
    casts = [f"{c.name} is {c.declared}: read as text" for c in request.columns if c.type in strategy.AS_TEXT]
    keys = [
        f"key {name} is text in collation {collation}: the server takes texts for equal that differ byte by byte"
        for name, collation in request.key_collations.items()
        if not _BINARY.search(collation)
    ]
    cut = [f"{c.name} is {c.declared}: its 100 ns digit is cut off and counted" for c in request.columns if c.has_100_ns]
    return Step(
        stream=request.stream,
        mode=request.mode,
        key=list(request.key),
        order=[c.name for c in chosen.order.columns] if chosen.order else [],
        replication_key=request.replication_key.name if request.replication_key else None,
        bookmark=request.bookmark,
        where=request.where or None,
        ranges=ranges,
        rows=rows,
        bytes=size,
        seconds=None if seconds is None else round(seconds, 1),
        looks=_looks(request, chosen, isolation),
        warnings=[
            *([f"only rows where {request.where}"] if request.where else []),
            *_without_key(request),
            *chosen.warnings,
            *casts,
            *([] if settings.keep_100ns else cut),
            *keys,
            *request.left_out,
            *request.column_notes,
        ],
    )


def _looks(request: TableRequest, chosen: strategy.Strategy, isolation: str) -> int:
    """For the rows; for their end, where equal ones forbid any; for the longest values; for a count; for a key that was given."""
    is_unbounded = bool(statements.unbounded(request.columns))
    return 1 + chosen.may_tie(request.table) + is_unbounded + (isolation != "SNAPSHOT") + request.merges_by_unproven_key


def _without_key(request: TableRequest) -> list[str]:
    """What is said of an incremental stream without a key."""
    by = request.replication_key
    if by is None or not request.may_double:
        return []
    waits = [table_opening.waiting(by)] if by.type not in UNIQUE else []
    then = "are left out" if request.skips_nulls else "end its load (on_null_replication_key)"
    return [
        *waits,
        *([f"replication key {by.name} may be NULL, and there is no key: rows without a value {then}"] if by.nullable else []),
    ]


def _asked(step: Step, request: TableRequest, session: Session) -> Step:
    """The step with what the server says of the stream's `where`, its changes, and, by an index, its rows without a value.

    No table is scanned for it. Raises SelectionRefused where a load would.
    """
    table_opening.refuse_condition(request, session)
    if request.is_log_based:
        return _of_changes(step, request, session)
    if not strategy.choose(request.table, request.replication_key).by_replication_key:
        return step
    return replace(step, warnings=[*step.warnings, *table_opening.nulls(request, session)])


def _of_changes(step: Step, request: TableRequest, session: Session) -> Step:
    """The step of a LOG_BASED stream, with what the server says of its changes. Raises SelectionRefused for a table without."""
    found, lines = tracking.told(session, request.stream, request.table, request.since)
    step = replace(step, mode="overwrite", bookmark=None, warnings=[*step.warnings, *lines])
    if found.since is None:
        return step
    return replace(step, mode="merge", bookmark=str(found.since), rows=None, bytes=None, seconds=None, ranges=None)


def as_json(steps: Sequence[Step]) -> str:
    """For programs: a list of objects with the fields of Step."""
    return json.dumps([asdict(each) for each in steps], ensure_ascii=False, indent=2) + "\n"


def as_table(steps: Sequence[Step]) -> str:
    """For people: a row per stream, its warnings below it, and the sums."""
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(("stream", "mode", "in order of", "ranges", "rows", "MB", "seconds", "looks")):
        table.add_column(name, justify="left" if number < 3 else "right", no_wrap=True)
    for each in steps:
        numbers = _numbers(each.ranges, each.rows, each.bytes, each.seconds)
        table.add_row(*map(Text, (each.stream, each.mode, ", ".join(each.order) or "-", *numbers, str(each.looks))))
    sums = (sum(s.ranges or 0 for s in steps), sum(s.rows or 0 for s in steps), sum(s.bytes or 0 for s in steps))
    table.add_row(f"{len(steps)} streams", "", "", *_numbers(*sums, 0.0)[:3], "", "")
    warnings = [Text(f"{each.stream}: {text}") for each in steps for text in each.warnings]
    console = Console(width=_ENDLESS, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(Group(table, *([Text("\nWarnings"), *warnings, Text()] if warnings else [])))
        console.print(Text("Rows and MB are the server's estimates, seconds are a guess; a load with a bookmark has neither."))
        console.print(Text("Looks: how often the server looks at each row, one reader at work."))
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _numbers(ranges: int | None, rows: int | None, size: int | None, seconds: float | None) -> tuple[str, str, str, str]:
    """As text; `size` in MB."""
    whole = ["?" if value is None else f"{value:,}" for value in (ranges, rows)]
    parts = ["?" if value is None else f"{value:,.1f}" for value in (None if size is None else size / 1e6, seconds)]
    return whole[0], whole[1], parts[0], parts[1]
