"""Whatever happens to a table, its loads and the link between two runs: Delta is the table, row by row, after each run.

A history is a chain of chances from one seed: rows come, change, change their keys and go; columns come, go and widen; links are
cut, deadlocks hit, the tap is killed; changes are forgotten. LIGHTHOUSE_HISTORIES says how many (300 before a release).
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import LIMIT_SECONDS, READ, Ran, Tap, execute, good, select

from sandbox.launch import Counterpart, counterpart
from tap_mssql.read.spool import RANGE

HISTORIES = int(os.environ.get("LIGHTHOUSE_HISTORIES", "1"))
STEPS = 8
IDS = 40  # few, so that keys come again

Row = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("histories")
    with counterpart("sqlserver", folder / "server", "--only-parquet", "--faults", str(folder / "faults.json")) as running:
        execute(running, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        yield running


class History:
    """One table `(Id, V, C, …)` whose column C grows, its stream, and what the loads so far have made of Delta."""

    options: dict[str, Any]
    declared = "Id int NOT NULL PRIMARY KEY"

    def __init__(self, server: Counterpart, folder: Path, name: str, chance: random.Random) -> None:
        self.server, self.table, self.stream, self.chance = server, f"dbo.{name}", f"dbo-{name}", chance
        self.faults = server.data.parent / "faults.json"
        self.tap = Tap(
            server, folder, {"streams": [self.table], "stream_options": {self.table: self.options}, "retry_seconds": 60}
        )
        self.state: dict[str, Any] = {}
        self.rows: list[Row] = []
        self.added: list[str] = []  # columns
        self.top = 1  # of C
        self.modes = Counter[str]()  # of its loads
        self.story: list[str] = []
        rows = ", ".join(f"({n}, N'first', {self.value()})" for n in chance.sample(range(IDS), IDS // 2))
        self.does(
            f"CREATE TABLE {self.table} ({self.declared}, V nvarchar(20) NULL, C int NULL)",
            f"INSERT INTO {self.table} VALUES {rows}",
        )

    def does(self, *statements: str) -> None:
        self.story += statements
        execute(self.server, *statements)

    def source(self) -> list[Row]:
        return list(select(self.server, f"SELECT * FROM {self.table}").to_pylist())

    def value(self) -> str:
        """Of C: the greatest once more, a greater one, or none."""
        self.top += self.chance.random() < 0.3
        return self.chance.choice([str(self.top), str(self.top), "NULL"])

    def change(self) -> None:
        """One that an application would make."""
        table, first, second = self.table, self.chance.randrange(IDS), self.chance.randrange(IDS)
        ids = {row["Id"] for row in self.source()}
        insert = f"INSERT INTO {table} (Id, V, C) VALUES ({first}, N'{len(self.story)}', {self.value()})"
        update = f"UPDATE {table} SET V = N's{len(self.story)}', C = {self.value()} WHERE Id BETWEEN {first} AND {first + 5}"
        move = f"UPDATE {table} SET Id = {first}, C = {self.value()} WHERE Id = {second}"
        delete = f"DELETE FROM {table} WHERE Id BETWEEN {first} AND {first + 2}"
        both = f"BEGIN TRAN; DELETE {table} WHERE Id = {first}; {insert}; COMMIT"
        back = f"BEGIN TRANSACTION; DELETE FROM {table}; ROLLBACK"
        self.does(self.chance.choice([insert, insert, move, update] if first not in ids else [update, delete, both, back]))

    def alter(self) -> None:
        """A column comes, with a value in every row or with none; goes; or widens."""
        name = f"X{len(self.story)}"
        if self.added and self.chance.random() < 0.5:
            old = self.chance.choice(self.added)
            if self.chance.random() < 0.5:
                self.does(f"ALTER TABLE {self.table} ALTER COLUMN {old} bigint")
            else:
                self.added.remove(old)
                self.does(f"ALTER TABLE {self.table} DROP COLUMN {old}")
        else:
            self.added.append(name)
            default = self.chance.choice(["NULL", "NOT NULL DEFAULT 7"])
            self.does(f"ALTER TABLE {self.table} ADD {name} int {default}")

    def read(self) -> Ran:
        """A run in which a link may be cut or a deadlock hit, which the tap passes by itself."""
        what = self.chance.choice([{}, {}, {"close": True}, {"close": "between rows"}, {"error": 1205}])
        where = {"match": READ, "skip": self.chance.randrange(4), "after_rows": self.chance.randrange(3), "times": 1}
        self.faults.write_text(json.dumps({"statements": [where | what] if what else []}))
        self.story.append(f"run {what}")
        return good(self.tap.read(self.state, **self.settings()))

    def settings(self) -> dict[str, Any]:
        return {"range_rows": self.chance.choice([3, 1_000]), "snapshot": self.chance.choice(["auto", "never"])}

    def killed(self) -> None:
        """A run that is killed once it has read a few ranges; one that has ended by then leaves as little behind."""
        self.faults.write_text("{}")
        self.story.append("a run is killed")
        process, ranges = self.tap.start(self.state, range_rows=2, snapshot="auto"), self.chance.randrange(1, 6)
        deadline = time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and len(list(self.tap.spool.rglob(f"*{RANGE}*.json"))) < ranges:
            assert time.monotonic() < deadline
            time.sleep(0.005)  # looked at again, not waited for
        process.kill()
        process.wait()

    def take(self, ran: Ran) -> None:
        """Makes of Delta what docs/contracts.md says of a load."""
        if self.stream not in ran.streams:
            return
        self.modes[ran.document(self.stream)["mode"]] += 1
        document, rows = ran.document(self.stream), ran.table(self.stream).to_pylist()
        assert document["source_rows"] == document["rows"] == len(rows)
        gone = {row["Id"] for row in ran.deleted[self.stream]} | (
            {row["Id"] for row in rows} if document["key_columns"] else set()
        )
        before = [] if document["mode"] == "overwrite" else [row for row in self.rows if row["Id"] not in gone]
        self.rows, self.state = before + rows, ran.state

    def check(self) -> None:
        """Delta is what the table is."""
        raise NotImplementedError

    def tell(self) -> None:
        """The whole history."""
        for _ in range(STEPS):
            for _ in range(self.chance.randrange(6)):
                self.change()
            if self.chance.random() < 0.25:
                self.alter()
            if self.chance.random() < 0.25:
                self.killed()
                if self.chance.random() < 0.5:  # what went on may be the killed load, of rows as they were
                    self.change()
                    self.take(self.read())
            self.take(self.read())
            self.check()
        self.does(f"DROP TABLE {self.table}")


def content(rows: list[Row], columns: set[str]) -> Counter[frozenset[tuple[str, Any]]]:
    """Each row of these columns, and how often it is there; a column that a row never had is NULL."""
    return Counter(frozenset((name, row.get(name)) for name in columns) for row in rows)


class Tracked(History):
    """LOG_BASED: whole again where the server has forgotten what changed."""

    options = {"replication_method": "LOG_BASED"}  # noqa: RUF012

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.does(f"ALTER TABLE {self.table} ENABLE CHANGE_TRACKING")

    def change(self) -> None:
        super().change()
        if self.chance.random() < 0.08:
            self.does(
                f"TRUNCATE TABLE {self.table}",
                f"INSERT INTO {self.table} (Id, V, C) VALUES ({self.chance.randrange(IDS)}, N't', 1)",
            )
        if self.chance.random() < 0.08:
            self.does("EXEC sp_sandbox_age_changes 3", f"EXEC sys.sp_flush_CT_internal_table_on_demand '{self.table}'")

    def check(self) -> None:
        source = self.source()
        columns = {name for row in source for name in row}
        assert content(self.rows, columns) == content(source, columns), self.story


class Keyed(History):
    """INCREMENTAL with a key: ties and NULLs come again; a row that the source deleted stays."""

    options = {"replication_key": "C"}  # noqa: RUF012

    def check(self) -> None:
        source = self.source()
        columns, ids = {name for row in source for name in row}, {row["Id"] for row in source}
        assert len({row["Id"] for row in self.rows}) == len(self.rows), self.story
        assert content([row for row in self.rows if row["Id"] in ids], columns) == content(source, columns), self.story


class Unkeyed(History):
    """INCREMENTAL without a key: rows only come; those with the greatest value wait, those without one are left out."""

    options = {"replication_key": "C", "on_null_replication_key": "skip"}  # noqa: RUF012
    declared = "Id int NOT NULL"

    def change(self) -> None:
        rows = ", ".join(f"({self.chance.randrange(IDS)}, N'same', {self.value()})" for _ in range(self.chance.randrange(1, 4)))
        self.does(f"INSERT INTO {self.table} (Id, V, C) VALUES {rows}")

    def check(self) -> None:
        source = self.source()
        greatest = max((row["C"] for row in source if row["C"] is not None), default=0)
        arrived = [row for row in source if row["C"] is not None and row["C"] < greatest]
        columns = {name for row in source for name in row}
        assert content(self.rows, columns) == content(arrived, columns), self.story


@pytest.mark.parametrize("seed", range(HISTORIES))
@pytest.mark.parametrize("kind", [Tracked, Keyed, Unkeyed])
def test_whatever_happens_to_a_table_delta_is_it_after_each_run(
    kind: type[History], seed: int, server: Counterpart, tmp_path: Path
) -> None:
    history = kind(server, tmp_path, f"{kind.__name__}{seed}", random.Random(f"{kind.__name__} {seed}"))
    history.tell()
    assert history.modes["overwrite"] and history.modes.total() > 1, history.modes
