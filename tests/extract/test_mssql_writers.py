"""Tables that others write to while they are read: every row that was there all the time arrives once, no row twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mssql_python
import pytest
from mssql_kit import Tap, connect, execute, good, select

from sandbox.launch import Counterpart, counterpart

STEADY, GROUPS = 1_500, ("a", "B", "b ", "Ç")  # equal, by the key's collation, but for the last one
PAUSE = 0.003  # seconds between two changes: several fall into the reading of each range, and the server has time to answer it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("writers"), "--scale", "0.001") as running:
        yield running


def make(server: Counterpart, table: str, chance: random.Random) -> None:
    """Rows that stay, with ids that are multiples of ten, in groups that the collation partly takes for one."""
    execute(
        server,
        f"CREATE TABLE {table} (grp varchar(4) COLLATE Latin1_General_CI_AS NOT NULL, id int NOT NULL, v int NOT NULL, "
        "PRIMARY KEY (grp, id))",
    )
    rows = [f"('{chance.choice(GROUPS)}', {n * 10}, {n})" for n in range(STEADY)]
    for at in range(0, STEADY, 500):
        execute(server, f"INSERT INTO {table} VALUES {', '.join(rows[at : at + 500])}")


class Writer:
    """Inserts and deletes rows with other ids, anywhere between the steady ones, until it is told to stop."""

    def __init__(self, server: Counterpart, table: str, chance: random.Random, kinds: str) -> None:
        self._table = table
        self._chance = chance
        self._kinds = kinds
        self._connection = connect(server)
        self._there: list[tuple[str, int]] = []
        self.changes = 0
        self.stopping = threading.Event()

    def insert(self) -> None:
        key = (self._chance.choice(GROUPS), self._chance.randrange(STEADY) * 10 + self._chance.randrange(1, 10))
        try:
            self._do(f"INSERT INTO {self._table} VALUES ('{key[0]}', {key[1]}, -1)")
        except mssql_python.IntegrityError:
            return
        self._there.append(key)

    def delete(self) -> None:
        if self._there:
            group, id_ = self._there.pop(self._chance.randrange(len(self._there)))
            self._do(f"DELETE FROM {self._table} WHERE grp = '{group}' AND id = {id_}")

    def _do(self, sql: str) -> None:
        self._connection.cursor().execute(sql)
        self.changes += 1

    def run(self) -> None:
        while not self.stopping.wait(PAUSE):
            self.insert() if self._chance.choice(self._kinds) == "i" else self.delete()
        self._connection.close()


@contextmanager
def writing(server: Counterpart, table: str, chance: random.Random, kinds: str) -> Iterator[Writer]:
    writer = Writer(server, table, chance, kinds)
    for _ in range(200):
        writer.insert()
    before = writer.changes
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.stopping.set()
        thread.join()
    assert writer.changes - before > 10, "nothing was written meanwhile"


# Without SNAPSHOT a range is proven by a count before and after it: rows that only come, or only go, lie between the two.
@pytest.mark.parametrize(("snapshot", "kinds"), [("always", "id"), ("never", "i"), ("never", "d")])
@pytest.mark.parametrize("seed", range(2))
def test_rows_that_stay_arrive_once_whatever_comes_and_goes_around_them(
    server: Counterpart, tmp_path: Path, snapshot: str, kinds: str, seed: int
) -> None:
    chance = random.Random(f"{seed}{snapshot}{kinds}")
    table = f"dbo.Busy{snapshot}{kinds}{seed}"
    make(server, table, chance)
    tap = Tap(server, tmp_path)
    settings: dict[str, Any] = {"streams": [table], "range_rows": chance.randrange(40, 200), "snapshot": snapshot}
    with writing(server, table, chance, kinds):
        ran = good(tap.run(**settings))
    found = ran.table(table.replace(".", "-"))
    keys = list(zip(found["grp"].to_pylist(), found["id"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys)
    steady = select(server, f"SELECT grp, id FROM {table} WHERE v >= 0")
    assert {k for k in keys if k[1] % 10 == 0} == set(zip(steady["grp"].to_pylist(), steady["id"].to_pylist(), strict=True))
    assert len(ran.document(table.replace(".", "-"))["files"]) > STEADY // 200
