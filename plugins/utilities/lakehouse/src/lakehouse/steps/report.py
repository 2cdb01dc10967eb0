"""`lakehouse report`: what a run moved, from the local manifests and the published document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from lakehouse.loads import StagedLoad
from lakehouse.steps.verify import equality
from lakehouse.terminal import show
from singer_arrow import lines, names
from singer_arrow.documents import LoadResult, PublishedDocument

COLUMNS = ("stream", "rows read", "in Delta", "seconds", "equal")
COVERED = "in the ledger"  # applied, and compared then, or covered by a later load that was
ABSENT = "not in Delta"
WIDTH = 80  # characters of a terminal's line
BRIEF = 14  # rows of a table that is read at the end of a log


class Row(NamedTuple):
    """A load in the result: rows that were read, rows of the table in Delta now, seconds of reading, whether all is equal."""

    load: StagedLoad
    read: int
    in_delta: int | None
    seconds: float
    equal: bool | str

    @property
    def name(self) -> str:
        """`source/stream`."""
        return f"{self.load.source}/{self.load.manifest.stream}"

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to say of it but its rows."""
        return self.equal is True and self.read == self.in_delta and not any(put_aside(self.load))

    def cells(self) -> tuple[str, ...]:
        """As they are shown."""
        equal = self.equal if isinstance(self.equal, str) else "yes" if self.equal else "NO"
        return (
            self.name,
            f"{self.read:,}",
            "—" if self.in_delta is None else f"{self.in_delta:,}",
            f"{self.seconds:,.1f}",
            equal,
        )


def of_last_run(local: list[StagedLoad], known: PublishedDocument | None) -> list[StagedLoad]:
    """The loads of the newest run, and older ones that are not in Delta; files of older loads may be kept."""
    committed = set(known.committed) if known else set()
    return [load for load in local if load.manifest.run_id == local[-1].manifest.run_id or load.load_id not in committed]


def rows_of(local: list[StagedLoad], known: PublishedDocument | None) -> list[Row]:
    """A row for each load. What a load of new rows leaves in Delta is its whole table."""
    results = {result.load_id: result for result in known.loads} if known else {}
    committed = set(known.committed) if known else set()
    rows = []
    for load in local:
        result = results.get(load.load_id)
        equal = equality(result) if result else COVERED if load.load_id in committed else ABSENT
        rows.append(Row(load, load.manifest.rows, _in_delta(result), seconds_of(load), equal))
    return rows


def _in_delta(result: LoadResult | None) -> int | None:
    if result is None or result.mode == "overwrite":
        return result.delta_rows if result else None
    return result.delta_rows if result.table_rows is None else result.table_rows


def seconds_of(load: StagedLoad) -> float:
    """How long a load was read."""
    began, ended = (datetime.fromisoformat(each) for each in (load.manifest.started_at, load.manifest.ended_at))
    return (ended - began).total_seconds()


def show_report(local: list[StagedLoad], known: PublishedDocument | None, brief: bool = False) -> None:
    """Rows read and rows in Delta, per stream; below it what else is to be known of a load.

    `brief` shows what there is something to say of, and the largest of the others.
    """
    rows = rows_of(local, known)
    if not rows:
        show("nothing was staged: nothing was extracted, or everything is in Delta and pruned")
        return
    proven = ", equal at the source, in Parquet and in Delta" if all(row.equal is True for row in rows) else ""
    show(f"{len(rows)} loads, {sum(row.read for row in rows):,} rows{proven}")
    if lines.is_json():
        for row in rows:
            figures = {"rows": row.read, "delta_rows": row.in_delta, "seconds": row.seconds, "equal": row.equal}
            show(row.name, stream=row.load.manifest.stream, load=row.load.load_id, figures=figures)
    else:
        shown, others = chosen(rows) if brief else (rows, [])
        summed = [] if not others else [_sum_of(others)]
        print("\n".join(table([row.cells() for row in shown] + summed)))
    results = {result.load_id: result for result in known.loads} if known else {}
    for load in local:
        for line in (*put_aside(load), *whole_table(load, results.get(load.load_id))):
            show(line) if lines.is_json() else print(f"  {line}")


def chosen(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Every row that there is something to say of, the largest others as far as there is room, and the rest; in their order."""
    if len(rows) <= BRIEF:
        return list(rows), []
    plain = sorted((row for row in rows if row.is_plain), key=lambda row: -row.read)
    room = max(BRIEF - 1 - (len(rows) - len(plain)), 0)
    left = {row.load.load_id for row in plain[room:]}
    return [row for row in rows if row.load.load_id not in left], plain[room:]


def _sum_of(rows: Sequence[Row]) -> tuple[str, ...]:
    read, in_delta = sum(row.read for row in rows), sum(row.in_delta or 0 for row in rows)
    seconds = sum(row.seconds for row in rows)
    return (
        f"and {len(rows)} of at most {max(row.read for row in rows):,} rows",
        f"{read:,}",
        f"{in_delta:,}",
        f"{seconds:,.1f}",
        "yes",
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of at most WIDTH characters where that can be: a name that leaves no room for the figures has a line of its own."""
    cells = [COLUMNS, *rows]
    widths = [max(len(row[number]) for row in cells) for number in range(1, len(COLUMNS))]
    room = max(WIDTH - sum(width + 2 for width in widths), len(COLUMNS[0]))
    wide = min(max(len(row[0]) for row in cells), room)
    for name, *figures in cells:
        aligned = "".join(f"  {each:>{width}}" for each, width in zip(figures, widths, strict=True))
        yield from [f"{name:<{wide}}{aligned}"] if len(name) <= wide else [name, " " * wide + aligned]


def put_aside(load: StagedLoad) -> Iterator[str]:
    """What of the source's rows is not in the load, and why; fields that nobody declared; keys that the source deleted."""
    m, name = load.manifest, f"{load.source}/{load.manifest.stream}"
    if m.dead_letters or m.left_out:
        counted = {"rows": m.rows, "dead letters": m.dead_letters, "left out (discard_row)": m.left_out}
        parts = " + ".join(f"{count:,} {what}" for what, count in counted.items() if count or what == "rows")
        source = "records of the tap" if m.source_rows is None else "source rows"
        yield f"{name}: {sum(counted.values()):,} {source} = {parts}"
    if m.dead_letters:
        yield f"{name}: the dead letters are in {load.source}/{names.dead_letters(load.load_id)} of the output folder"
    if m.deletes:
        yield f"{name}: beside its {m.rows:,} rows {m.deletes:,} keys that the source deleted"
    for each in m.drift:
        became = f"a column ({each.type})" if each.became == "column" and each.type else each.became
        yield f"{name}: the field {each.field} is not declared; in {each.records:,} records it is {became}"


def whole_table(load: StagedLoad, result: LoadResult | None) -> Iterator[str]:
    """Where the table of an incremental load does not hold what its source says of itself."""
    m = load.manifest
    if m.mode == "overwrite" or result is None or None in (result.table_rows, m.table_rows) or m.table_rows == result.table_rows:
        return
    yield (
        f"{m.source}/{m.stream}: {result.table_rows:,} rows in Delta and, by its own estimate, {m.table_rows:,} at the source: "
        f"entrypoint.sh reconcile {m.stream} compares them"
    )
