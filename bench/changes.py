"""A load of changes beside the whole load and beside the same by hand: 10 M rows, of which 1 % was updated, inserted or deleted.

The server is the sandbox's: its own work is in no CPU figure, and in each wall time. Its engine has no index to seek in and
looks at every row for those that changed: it may use two threads for that, and is started anew behind the changes, for it keeps
updates apart from the rows until then. Memory is measured in a round of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import data, measure, mssql
from bench.data import Table
from bench.figures import Figure, report
from bench.measure import Measured
from bench.peers import programs
from bench.sql import execute
from sandbox import launch

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SIZE = os.environ.get("BENCH_SIZES", "10m")
AGAINST_WHOLE, AGAINST_BY_HAND, PEAK_MB = 0.04, 1.2, 150


def main() -> None:
    """Whole loads, loads of a table that nobody changed, the changes, and then both ways of reading these, round by round."""
    table = data.lineitem(SIZE)
    folder = data.CACHE / "changes"
    shutil.rmtree(folder, ignore_errors=True)  # it was changed the last time
    options = ("--only-parquet", "--parquet", table.option, "--threads", "2")
    with launch.counterpart("sqlserver", folder, *options, start_seconds=600) as server:
        execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON", f"ALTER TABLE {name_of(table)} ENABLE CHANGE_TRACKING")
        wholes: list[Measured] = []
        for _ in range(min(RUNS, 3)):
            whole, state = whole_load(table, server)
            wholes.append(whole)
        unchanged = [of_changes(table, server, state, (0, 0)) for _ in range(RUNS)]
        changed = change(table, server)
    ours, by_hand = [], []
    with launch.counterpart("sqlserver", folder, *options, start_seconds=600) as server:
        for _ in range(RUNS):
            ours.append(of_changes(table, server, state, changed))
            by_hand.append(by_itself(table, server, changed))
        watched = of_changes(table, server, state, changed, memory=True)
    shutil.rmtree(folder, ignore_errors=True)
    figures = [
        Figure("changes.rows_and_deletes", sum(changed)),
        Figure("whole.cpu_seconds", median(wholes, "cpu")),
        Figure("changes.cpu_seconds", median(ours, "cpu")),
        *(
            Figure(f"changes.{what}_against_whole", median(ours, what) / median(wholes, what), AGAINST_WHOLE)
            for what in ("cpu", "wall")
        ),
        *(
            Figure(f"changes.{what}_against_by_hand", median(ours, what) / median(by_hand, what), AGAINST_BY_HAND)
            for what in ("cpu", "wall")
        ),
        Figure("unchanged.cpu_against_changes", median(unchanged, "cpu") / median(ours, "cpu")),
        Figure("changes.peak_mb", watched.total, PEAK_MB),
    ]
    series = {"whole": wholes, "unchanged": unchanged, "changes": ours, "by_hand": by_hand}
    raw = {name: {what: [getattr(run, what) for run in runs] for what in ("cpu", "wall")} for name, runs in series.items()}
    report("changes", figures, raw)


def median(runs: list[Measured], what: str) -> float:
    """Of CPU or wall seconds."""
    return float(statistics.median(getattr(run, what) for run in runs))


def name_of(table: Table) -> str:
    """Its name in SQL."""
    return f"[{table.schema}].[{table.name}]"


def change(table: Table, server: launch.Counterpart) -> tuple[int, int]:
    """Updates 0.6 %, deletes 0.2 % and inserts 0.2 % of the rows; how many rows and how many deletes a load then has."""
    name = name_of(table)
    updated, deleted, inserted = execute(
        server,
        f"UPDATE {name} SET l_comment = N'changed' WHERE l_orderkey % 1000 < 6",
        f"DELETE FROM {name} WHERE l_orderkey % 1000 IN (6, 7)",
        f"INSERT INTO {name} SELECT -l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, "
        "l_tax, l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment "
        f"FROM {name} WHERE l_orderkey % 1000 IN (8, 9)",
    )
    return updated + inserted, deleted


def whole_load(table: Table, server: launch.Counterpart) -> tuple[Measured, str]:
    """The first load of the stream, and the state that it ends with."""
    with place() as folder:
        run = programs.log_based(table, folder, environment(server, folder))
        measured = good(measure.run(run.command, folder, environment(server, folder), memory=False))
        rows = run.rows(folder)
        if rows != table.rows:
            sys.exit(f"bench: the whole load has {rows:,} rows")
        return measured, (folder / "state.jsonlines").read_text().splitlines()[-1]


def of_changes(table: Table, server: launch.Counterpart, state: str, changed: tuple[int, int], memory: bool = False) -> Measured:
    """The load that follows that state."""
    with place() as folder:
        run = programs.log_based(table, folder, environment(server, folder), state)
        measured = good(measure.run(run.command, folder, environment(server, folder), memory))
        complete(run.rows(folder), changed)
    return measured


def by_itself(table: Table, server: launch.Counterpart, changed: tuple[int, int]) -> Measured:
    """The same changes, by hand."""
    with place() as folder:
        run = programs.changes_by_hand(table, folder, 0)
        measured = good(measure.run(run.command, folder, environment(server, folder), memory=False))
        complete(run.rows(folder), changed)
    return measured


def complete(rows: int, changed: tuple[int, int]) -> None:
    """Ends the run where a load has other rows than were changed."""
    if rows != sum(changed):
        sys.exit(f"bench: {sum(changed):,} rows and keys changed, {rows:,} arrived")


@contextmanager
def place() -> Iterator[Path]:
    """A folder for one run, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=data.CACHE) as name:
        yield Path(name)


def environment(server: launch.Counterpart, folder: Path) -> dict[str, str]:
    """As the other bench of SQL Server has it."""
    return {**mssql.environment(server), "HOME": str(folder)}


def good(measured: Measured) -> Measured:
    """Ends the bench where a run failed."""
    if measured.status:
        sys.exit(f"bench: a run ended with exit {measured.status}:\n{measured.output[-3000:]}")
    print(f"bench: {measured.cpu:.2f} CPU s, {measured.wall:.2f} s", file=sys.stderr)
    return measured


if __name__ == "__main__":
    main()
