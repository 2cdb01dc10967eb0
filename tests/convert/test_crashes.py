"""A job that dies at any point, and the next one: docs/semantics.md, When the job dies, row by row.

One lake is made, and copied for each point. In the run that dies each mode has a stream with loads, and there is what leads to
every point: a column is added, another one grows wider, a load is refused, two are needless, the ledger has grown enough to be
written anew. The next run completes the same loads, and a third one finds nothing to do.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clients_kit import DEAD, Clients, DuckDB, active_files, let_lease_run_out, versions
from engine_kit import ALL_ON_SPARK, Engine, Lake
from lakehouse_kit import ROOT, Made, add_deletes, make_load

from lakehouse.job_file import FOLDER

MODES = ("overwrite", "append", "merge")
FIRST_RUN = ("lease-table-made", "ledger-made")  # what only the first run into a target comes by
POINTS = [
    "order-read", *FIRST_RUN, "lease-taken", "published-first",
    *(f"{mode}-{place}" for mode in MODES for place in ("parts-proven", "waiting", "written", "uncommitted", "committed")),
    "columns-waiting", "columns-added", "rewrite-waiting", "rewritten", "proven",
    "ledger-waiting", "ledger-written", "refusal-committed", "superseded-committed",
    "ledger-compacting", "ledger-compacted", "published-last", "lease-given-back",
]  # fmt: skip
ON_SPARK = tuple(POINTS) if ALL_ON_SPARK else ()  # a point takes minutes there
# Loads of the log before: with 19 the ledger reaches the 24 rows at which it is written anew.
EARLIER = {"sail": 19, "spark": 19 if ALL_ON_SPARK else 3}
AT_ONCE = 3

pytestmark = pytest.mark.timeout(900)  # all points run side by side: the first one waits for those beside it


Rows = list[tuple[Any, ...]]
Ends = dict[str, Future[None]]


@dataclass(frozen=True)
class After:
    """A table when all loads are applied, its ids and amounts before, and which of the loads that die change it."""

    columns: tuple[str, ...]
    rows: Rows
    before: Rows
    loads: set[str]


@dataclass(frozen=True)
class Loads:
    """The loads before the run that dies, those of that run, and what becomes of all: `from_nothing` where one run has all."""

    before: list[Made]
    dying: list[Made]
    statuses: dict[str, str]
    from_nothing: dict[str, str]
    after: dict[str, After]


def rows(ids: list[int], changed: int, kind: pa.DataType | None = None, **more: list[Any]) -> pa.Table:
    """Rows with an id, an amount that tells when they changed, and that moment."""
    amounts = pa.array([changed * 10 + each for each in ids], kind or pa.int32())
    return pa.table({"Id": pa.array(ids, pa.int32()), "Amount": amounts, "Changed": pa.array([changed] * len(ids)), **more})


def made(stage: Path, last: int) -> Loads:
    """All loads, `last` of them in the log before.

    A moment of change is a number, and a load reads what changed after the one and up to the other.
    """

    def load(stream: str, at: int, table: pa.Table, start: int | None = None, mode: str = "overwrite") -> Made:
        cursor = {"column": "Changed", "from": None if start is None else str(start), "to": str(at)}
        given = {"cursor": cursor, "bookmark": {"replication_key": "Changed", "replication_key_value": str(at)}}
        keys = ["Id"] if stream == "People" else []
        return make_load(stage, stream, [table], started=at, mode=mode, key_columns=keys, **given)

    def changes(at: int, table: pa.Table, start: int | None = None, deleted: list[int] | None = None) -> Made:
        """Of a stream of which the source tracks what changes, and what is deleted."""
        cursor = {"column": None, "from": None if start is None else str(start), "to": str(at)}
        given = {"cursor": cursor, "bookmark": {"change_version": at}, "key_columns": ["Id"]}
        found = make_load(stage, "Tracked", [table], started=at, mode="overwrite" if start is None else "merge", **given)
        if deleted:
            add_deletes(found, pa.table({"Id": pa.array(deleted, pa.int32())}))
        return found

    before = [load("People", 0, rows([1, 2, 3], 0)), load("Whole", 0, rows([1, 2], 0)), load("Log", 0, rows([0], 0))]
    before.append(changes(0, rows([1, 2, 3], 0)))
    before += [load("Log", at, rows([at], at), at - 1, "append") for at in range(1, last)]
    # Refused at first, and covered by the next one. Its columns keep it from being written together with those before it.
    gap = load("Log", last, rows([99], last, Note=["?"]), 7, "append")
    dying = [
        load("People", last + 1, rows([2, 3, 4], last + 1, pa.int64(), Note=["b", "c", "d"]), 0, "merge"),
        load("Log", last + 1, rows([last, last + 1], last + 1, pa.int64(), Note=["x", "y"]), last - 1, "append"),
        load("Log", last + 2, rows([last + 1, last + 2], last + 2, pa.int64(), Note=[None, "z"]), last + 1, "append"),
        load("Whole", last + 1, rows([7], last + 1)),  # needless, for the next one reads the stream whole again
        load("Whole", last + 2, rows([2, 3], last + 2)),
        load("Bad", last + 1, rows([1], last + 1), 5, "append"),
        changes(last + 1, rows([2, 4], last + 1), 0, [1]),
        changes(last + 2, rows([1], last + 2), last + 1, [4]),
    ]
    people, log, newer, needless, whole, bad, change, changed = (each.load_id for each in dying)
    statuses = {each.load_id: "applied" for each in before} | {people: "applied", log: "applied", newer: "applied"}
    statuses |= {gap.load_id: "superseded", needless: "superseded", whole: "applied", bad: "refused"}
    statuses |= {change: "applied", changed: "applied"}
    log_rows: Rows = [(at, at * 11, None) for at in range(last)]
    added = [(last, last + 1, "x"), (last + 1, last + 1, "y"), (last + 1, last + 2, None), (last + 2, last + 2, "z")]
    log_after: Rows = [*log_rows, *((each, changed * 10 + each, note) for each, changed, note in added)]
    after = {
        "people": After(
            ("Id", "Amount", "Note"),
            [(1, 1, None), *((each, last * 10 + 10 + each, note) for each, note in ((2, "b"), (3, "c"), (4, "d")))],
            [(1, 1), (2, 2), (3, 3)],
            {people},
        ),
        "whole": After(("Id", "Amount"), [(each, last * 10 + 20 + each) for each in (2, 3)], [(1, 1), (2, 2)], {whole}),
        "tracked": After(
            ("Id", "Amount"),
            [(1, last * 10 + 21), (2, last * 10 + 12), (3, 3)],
            [(1, 1), (2, 2), (3, 3)],
            {change, changed},
        ),
        "log": After(("Id", "Amount", "Note"), log_after, sorted((row[:2] for row in log_rows), key=str), {log, newer}),
    }
    return Loads([*before, gap], dying, statuses, {before[1].load_id: "superseded"}, after)


@dataclass
class Matrix:
    """Runs points, several at once, each on a lake of its own."""

    clients: Clients
    folder: Path

    def __post_init__(self) -> None:
        self.duckdb = DuckDB()
        base = Lake(self.clients.engine, self.folder / "base")
        self.last = EARLIER[self.clients.engine.kind]
        self.loads = made(base.stage, self.last)
        code, printed = self.clients.run(base.order(self.loads.before))
        assert code == 1 and base.ledger()[self.loads.before[-1].load_id]["status"] == "refused", printed[-4000:]

    def lake(self, point: str) -> tuple[Lake, list[Made]]:
        """A lake for a point, and the loads of the run that dies there."""
        folder = self.folder / point
        first = point in FIRST_RUN
        nothing = shutil.ignore_patterns("delta", "_published") if first else None
        shutil.copytree(self.folder / "base", folder, ignore=nothing)
        moved = [
            Made(each.manifest, folder / each.path.relative_to(self.folder / "base"))
            for each in [*(self.loads.before if first else []), *self.loads.dying]
        ]
        return Lake(self.clients.engine, folder), moved

    def run(self, point: str) -> None:
        """The job dies at the point; the next one completes its loads; a third one changes nothing."""
        lake, loads = self.lake(point)
        code, printed = self.clients.run(lake.order(loads), LAKEHOUSE_CRASH=point)
        assert code == DEAD, f"it never came to {point}: {printed[-4000:]}"
        self.holds_what_it_says(lake, point)
        let_lease_run_out(lake)
        code, printed = self.clients.run(lake.order(loads))
        assert code == 1, printed[-4000:]  # one is refused
        self.is_the_source(lake, point, printed)
        then = versions(lake)
        code, printed = self.clients.run(lake.order(loads))
        assert (code, versions(lake)) == (1, then), printed[-4000:]

    def holds_what_it_says(self, lake: Lake, point: str) -> None:
        """Each table is as before or as after; as after, where the ledger says so; no bookmark is out that the ledger lacks."""
        known = lake.ledger() if (lake.tables / "_loads/_delta_log").exists() else {}
        applied = {load_id for load_id, row in known.items() if row["status"] == "applied"}
        for table, after in self.loads.after.items():
            found = lake.rows(table, "Id", "Amount")
            expected = sorted((row[:2] for row in after.rows), key=str)
            before = [] if point in FIRST_RUN else after.before
            assert found == expected or (found == before and not after.loads & applied), table
        if (lake.stage / "_published").exists():
            told = lake.published()
            assert set(told["committed"]) <= {load_id for load_id, row in known.items() if row["status"] != "refused"}
            bookmarks = {(row["stream"], row["bookmark"]) for load_id, row in known.items() if load_id in applied}
            for stream, bookmark in told["bookmarks"].get("sqlserver", {}).items():
                assert (stream, json.dumps(bookmark, sort_keys=True)) in bookmarks

    def is_the_source(self, lake: Lake, point: str, printed: str) -> None:
        """Row by row, by two readers; one ledger row for each load; bookmarks at the end; the ledger is one file, or few."""
        for table, after in self.loads.after.items():
            wanted = sorted(after.rows, key=str)
            assert lake.rows(table, *after.columns) == wanted, printed[-4000:]
            assert self.duckdb.rows(lake, table, *after.columns) == wanted
        found = {load_id: row["status"] for load_id, row in lake.ledger().items()}
        assert found == self.loads.statuses | (self.loads.from_nothing if point in FIRST_RUN else {}), printed[-4000:]
        assert not (lake.tables / "bad").exists() and active_files(lake, "_loads") < 24
        bookmarks = lake.published()["bookmarks"]["sqlserver"]
        assert bookmarks.pop("Tracked") == {"change_version": self.last + 2}
        ends = {stream: each["replication_key_value"] for stream, each in bookmarks.items()}
        assert ends == {"People": str(self.last + 1), "Log": str(self.last + 2), "Whole": str(self.last + 2)}


@pytest.fixture(scope="module")
def ends(
    engine: Engine, clients: Clients, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ends]:
    """How each point ended: those that are asked for run side by side."""
    asked = [
        item.callspec.params["point"]
        for item in request.session.items
        if item.path == request.path and getattr(item, "callspec", None) and item.callspec.params["engine"] == engine.kind
    ]
    matrix = Matrix(clients, tmp_path_factory.mktemp("crashes"))
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {point: pool.submit(matrix.run, point) for point in asked}
    pool.shutdown(cancel_futures=True)


def case(engine: str, point: str) -> Any:
    return pytest.param(engine, point, id=f"{engine}-{point}", marks=pytest.mark.spark if engine == "spark" else ())


CASES = [*(case("sail", point) for point in POINTS), *(case("spark", point) for point in ON_SPARK)]


@pytest.mark.parametrize(("engine", "point"), CASES, indirect=["engine"], scope="session")
def test_the_next_run_ends_with_what_the_source_holds(engine: Engine, point: str, ends: Ends) -> None:
    ends[point].result(580)


def points_of(call: ast.Call) -> set[str]:
    """The points that a call of die_if_asked names: one, or one for each mode."""
    given = call.args[0]
    if isinstance(given, ast.Constant):
        return {str(given.value)}
    assert isinstance(given, ast.JoinedStr) and ast.unparse(given.values[0]).strip("f'\"").endswith(".mode}"), ast.unparse(given)
    return {mode + str(given.values[1].value) for mode in MODES}  # type: ignore[attr-defined]


def test_the_points_in_the_code_are_those_of_the_table_and_of_these_tests() -> None:
    calls = [node for file in FOLDER.glob("*.py") for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    in_code = set().union(*(points_of(call) for call in calls if ast.unparse(call.func) == "die_if_asked"))
    section = (ROOT / "docs/semantics.md").read_text().partition("\n## When the job dies\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    in_table = [point for cell in cells for point in re.findall(r"`([^`]+)`", cell)]
    assert sorted(in_table) == sorted(POINTS) == sorted(in_code)
