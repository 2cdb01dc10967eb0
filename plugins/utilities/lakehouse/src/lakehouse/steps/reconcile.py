"""`lakehouse reconcile`: source and Delta now, range by range; what differs is named. Nothing is changed."""

from __future__ import annotations

import shlex
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from lakehouse.errors import VerifyError
from lakehouse.terminal import show_table
from singer_arrow import documents
from singer_arrow.documents import (
    DeltaFigures,
    DeltaTableFigures,
    Difference,
    DifferingRange,
    KeyRange,
    RangeFigures,
    ReconciledTable,
    Reconciliation,
    SourceFigures,
    SourceTable,
)

FOLDER = "reconcile"
RANGES_TOLD, FIGURES_TOLD = 5, 4  # per stream and per range; the file has them all
COLUMNS = ("stream", "source rows", "Delta rows", "ranges", "differing", "equal")


def read_source(file: Path) -> SourceFigures:
    """The source's figures. Raises VerifyError for a file that holds none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=SourceFigures)
    except msgspec.MsgspecError as error:
        raise VerifyError(f"{file} holds no figures: {error}", safe="Nothing was changed", action="reconcile again") from None


def order_of(source: SourceFigures) -> list[dict[str, object]]:
    """What the job is asked for: the same ranges and figures of the tables whose figures the source knows."""
    return [
        {
            "stream": table.stream,
            "table": table.table,
            "key": _key(table),
            "bounds": table.bounds,
            "columns": [msgspec.to_builtins(each) for each in table.columns],
            "on_delete": table.on_delete,
        }
        for table in source.tables
        if not table.problem
    ]


def _key(table: SourceTable) -> dict[str, str] | None:
    if not table.bounds:
        return None
    return next({"column": c.column, "type": c.type} for c in table.columns if c.name == table.key_columns[0])


def compare(source: SourceFigures, delta: DeltaFigures) -> Reconciliation:
    """What is equal and what differs, stream by stream. Pure but for the clock."""
    known = {table.stream: table for table in delta.tables}
    tables = [_compared(table, known.get(table.stream)) for table in source.tables]
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Reconciliation(reconciled_at=now, target=delta.target, tables=tables)


def _compared(source: SourceTable, delta: DeltaTableFigures | None) -> ReconciledTable:
    problem = source.problem or (delta.problem if delta else "the job published no figures of it")
    ranges = delta.ranges if delta else []
    ends = [None, *source.bounds, None]
    pairs = [] if problem else list(zip(ends, ends[1:], source.ranges, ranges, strict=False))
    differing = [
        DifferingRange(KeyRange(lower, upper), differences)
        for lower, upper, one, other in pairs
        if (differences := list(_differences(source, one, other)))
    ]
    return ReconciledTable(
        stream=source.stream,
        table=source.table,
        mode=source.mode,
        key_columns=source.key_columns,
        source_rows=None if source.problem else sum(each.rows for each in source.ranges),
        delta_rows=sum(each.rows for each in ranges) if ranges else None,
        ranges=len(pairs),
        differing=differing,
        problem=problem,
    )


def _differences(table: SourceTable, source: RangeFigures, delta: RangeFigures) -> Iterator[Difference]:
    if source.rows != delta.rows:
        yield Difference(None, "rows", str(source.rows), str(delta.rows))
    for column in table.columns:
        for figure in column.figures:
            one, other = (each.columns[column.name].get(figure) for each in (source, delta))
            if not is_same(one, other, column.type):
                yield Difference(column.name, figure, one, other)


def is_same(one: str | None, other: str | None, arrow: str) -> bool:
    """Whether two figures are one value: numbers as numbers, a float as the float that its text reads back as."""
    if one is None or other is None or one == other:
        return one == other
    if arrow == "float":
        return struct.pack("<f", float(one) + 0.0) == struct.pack("<f", float(other) + 0.0)
    if arrow == "double":
        return float(one) == float(other)
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False


def write(found: Reconciliation, folder: Path) -> Path:
    """Writes what was found into a file of its own in a folder; its path."""
    file = folder / f"{found.reconciled_at.translate(str.maketrans('', '', '-:.'))}.json"
    documents.write(file, found)
    return file


def show(found: Reconciliation) -> None:
    """A line per stream."""
    rows = [
        (t.stream, t.source_rows, t.delta_rows, t.ranges, len(t.differing), "not compared" if t.problem else not t.differing)
        for t in found.tables
    ]
    show_table("Reconciled", COLUMNS, rows)


def refuse_differences(found: Reconciliation, kept: Path) -> None:
    """Nothing where every stream was compared and is equal. Raises VerifyError naming what differs, and what settles it."""
    bad = [table for table in found.tables if not table.is_equal]
    if not bad:
        return
    differing, keyed = [table for table in bad if table.differing], repairable(found)
    others = [table.stream for table in differing if table.stream not in keyed]
    actions = [f"entrypoint.sh repair {shlex.join(keyed)}"] if keyed else []
    actions += [f"entrypoint.sh refresh {shlex.join(others)}, which has no key to be repaired by"] if others else []
    actions += ["solve what kept streams from being compared"] if len(differing) < len(bad) else []
    raise VerifyError(
        "\n".join([f"{len(bad)} of {len(found.tables)} streams are not known to be equal:", *lines(found, kept)]),
        safe="Nothing was changed by comparing",
        action="; ".join(actions),
    )


def repairable(found: Reconciliation) -> list[str]:
    """The streams that differ and have a key to be repaired by."""
    return [t.stream for t in found.tables if t.differing and t.key_columns and t.mode != "append"]


def lines(found: Reconciliation, kept: Path) -> list[str]:
    """What differs and what was not compared, for people; `kept` is the file that has it all."""
    return [line for table in found.tables if not table.is_equal for line in _lines(table, kept)]


def _lines(table: ReconciledTable, kept: Path) -> Iterator[str]:
    if table.problem:
        yield f"  {table.stream} was not compared: {table.problem}"
    for each in table.differing[:RANGES_TOLD]:
        key = "" if each.range == KeyRange() else f"{table.key_columns[0]} "
        figures = [_words(one) for one in each.differences[:FIGURES_TOLD]]
        figures += ["…"] if len(each.differences) > FIGURES_TOLD else []
        yield f"  {table.stream}, {key}{each.range}: {'; '.join(figures)}"
    if len(table.differing) > RANGES_TOLD:
        yield f"  {table.stream}: {len(table.differing) - RANGES_TOLD} more ranges, in {kept}"


def _words(one: Difference) -> str:
    what = f"{one.column}: {one.figure}" if one.column else one.figure
    source, delta = ("nothing" if each is None else each for each in (one.source, one.delta))
    return f"{what} {source} at the source, {delta} in Delta"
