"""A year in miniature: three streams, 365 days, on Sail, against a source that is plain Python.

Every day rows come, change, come late, and go; columns come, go and come back; a column grows wider twice. On about every
second day a tap reads each stream from the bookmark that is published, or whole without one, and on about one day of eight a
job converts what has come since (a job a day would take minutes): on the days between loads wait, as they do while
conversions fail. Some loads must be refused (they leave a gap, have no key, or text for numbers), some parts come damaged and
are sent again, sometimes damaged again; some streams are read whole again. Of the jobs a third dies at one point or another,
and some run two at a time, of which one waits or gives up, and takes over where the other one dies. Files of old loads are
removed each month. In the end Delta is the source.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from clients_kit import DEAD, Clients, DuckDB, active_files, let_lease_run_out
from engine_kit import Engine, Lake
from lakehouse_kit import Made
from test_crashes import POINTS
from year_kit import Table

from lakehouse.steps.prune import outdated

DAYS, SEED, KEPT = 365, 20261124, 2
WIDER = {"Prices": (90, 200), "People": (120, 250), "Log": (60, 300)}  # the days on which amounts grow wider


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    engine = Engine("sail", tmp_path)
    running = Clients(engine)
    yield running
    running.stop()
    engine.stop()


@dataclass
class Year:
    """The pipeline on its days: what is staged, what is damaged, and what happened how often."""

    clients: Clients
    lake: Lake
    dice: random.Random
    tables: list[Table]
    staged: dict[str, Made] = field(default_factory=dict)
    damaged: dict[str, bytes] = field(default_factory=dict)  # the good bytes of a load's part, by load id
    again: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)

    def extract(self, day: int, calm: bool = False) -> None:
        """Each stream's load of a day; some that are bad, where the day is not calm."""
        bookmarks = self.published().get("bookmarks", {}).get("sqlserver", {})
        for table in self.tables:
            bookmark, fault = bookmarks.get(table.stream), ""
            if not calm:
                fault = self.dice.choice(["gap", "null", "kind", *[""] * 12])
                if self.dice.random() < 0.03:
                    bookmark = None
            load = table.load(self.lake.stage, day, bookmark, fault)
            self.staged[load.load_id] = load
            self.seen[load.manifest["mode"]] += 1
            if not calm and load.manifest["files"] and self.dice.random() < 0.04:
                self.damage(load)

    def part(self, load: Made) -> Path:
        return self.lake.stage / "sqlserver" / str(load.manifest["files"][0]["path"])

    def damage(self, load: Made) -> None:
        good = self.part(load).read_bytes()
        self.damaged[load.load_id] = good
        self.part(load).write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])

    def send_again(self, calm: bool = False) -> None:
        """As an upload does with what the last document calls damaged; one time in four it comes damaged again."""
        for load_id, told in self.published().get("loads", {}).items():
            if told["status"] == "damaged" and load_id in self.damaged:
                self.again.add(load_id)
                self.seen["sent again"] += 1
                if calm or self.dice.random() < 0.75:
                    self.part(self.staged[load_id]).write_bytes(self.damaged.pop(load_id))

    def convert(self, calm: bool = False) -> None:
        """The job over what is not settled, as `lakehouse convert` orders it; it may die, or have a rival."""
        known = self.published()
        refused = {load_id for load_id, each in known.get("loads", {}).items() if each["status"] == "refused"}
        settled = {*known.get("committed", ()), *(refused - self.again)}
        loads = [load for load_id, load in sorted(self.staged.items()) if load_id not in settled]
        if not loads:
            return
        arguments = self.lake.order(loads, tuple(self.again), sorted(self.staged))
        dying = {} if calm or self.dice.random() > 0.35 else {"LAKEHOUSE_CRASH": self.dice.choice(POINTS)}
        rival = None
        if not calm and self.dice.random() < 0.2:
            rival = self.clients.start([*arguments, "--lease-wait", self.dice.choice(["0", "200"])])
        code, printed = self.clients.run([*arguments, "--lease-wait", "0" if rival else "200"], **dying)
        assert code in (0, 1, DEAD) and "Traceback" not in printed, printed[-4000:]
        self.seen["died" if code == DEAD else "ended"] += 1
        if code == DEAD:
            let_lease_run_out(self.lake)
        if rival:
            code, printed = rival.result(280)
            assert code in (0, 1) and "Traceback" not in printed, printed[-4000:]
            self.seen["rivals"] += 1
        told = self.published().get("loads", {})
        self.again -= {load_id for load_id in self.again if load_id in told}
        self.seen.update(Counter(each["status"] for each in told.values()))
        failed = [each for each in told.values() if each["status"] == "failed"]
        assert not failed, (failed, printed[-4000:])

    def prune(self) -> None:
        """Removes the files of loads that the rule of `lakehouse prune` lets go."""
        streams = {load_id: ("sqlserver", load.manifest["stream"]) for load_id, load in self.staged.items()}
        for load_id in outdated(streams, set(self.published().get("committed", ())), KEPT):
            load = self.staged.pop(load_id)
            load.path.unlink()
            for file in load.manifest["files"]:
                (self.lake.stage / "sqlserver" / file["path"]).unlink()

    def published(self) -> dict[str, Any]:
        return self.lake.published() if (self.lake.stage / "_published").exists() else {}

    def rows(self, table: Table) -> Counter[tuple[Any, ...]]:
        return Counter(self.lake.rows(table.stream.lower(), *table.columns))


def test_after_a_year_of_mishaps_delta_is_the_source(clients: Clients, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    modes = {"Prices": "overwrite", "People": "merge", "Log": "append"}
    tables = [Table(stream, mode, dice) for stream, mode in modes.items()]
    year = Year(clients, Lake(clients.engine, tmp_path / "lake"), dice, tables)
    for day in range(DAYS):
        for table in tables:
            table.day()
            table.width += day in WIDER[table.stream]
            if dice.random() < 0.03:
                year.seen[table.alter()] += 1
        if dice.random() < 0.45:
            year.extract(day)
        if dice.random() < 0.13:
            year.send_again()
            year.convert()
        if day % 30 == 29:
            year.prune()
    for day in range(DAYS, DAYS + 3):  # three calm days settle what is left
        year.send_again(calm=True)
        year.extract(day, calm=True)
        year.convert(calm=True)
    year.prune()
    duckdb = DuckDB()
    for table in tables:
        assert year.rows(table) == table.content(), table.stream
        assert Counter(duckdb.rows(year.lake, table.stream.lower(), *table.columns)) == table.content()
    ledger = year.lake.ledger()
    assert {row["status"] for row in ledger.values()} == {"applied", "superseded"}
    assert len(ledger) == sum(year.seen[mode] for mode in ("overwrite", "append", "merge"))
    assert active_files(year.lake, "_loads") < 48 and active_files(year.lake, "_lease") == 1
    assert len(year.staged) == KEPT * len(tables)
    assert {table.width for table in tables} == {2}
    wanted = ("died", "rivals", "refused", "damaged", "sent again", "blocked", "applied", "superseded", "a column comes")
    assert all(year.seen[each] > 2 for each in wanted), year.seen
