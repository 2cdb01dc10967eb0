"""Two jobs at once: the lease lets one write, and a job that was only slow adds nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from clients_kit import Clients, Job
from deltalake import DeltaTable
from engine_kit import SAIL_FIRST, Engine, Lake
from lakehouse_kit import Made, make_load

LEASE_S = {"sail": "1", "spark": "20"}  # longer than what a job does between two renewals
MODES = {"sail": ("append", "merge"), "spark": ("append", "merge", "overwrite")}


def rows(*ids: int) -> pa.Table:
    return pa.table({"Id": pa.array(ids, pa.int32()), "Changed": pa.array(ids, pa.int64())})


def append(lake: Lake, started: int, start: str | None, end: str, *ids: int) -> Made:
    """A load of the keyless stream Log; without `start` the stream is read whole."""
    return make_load(
        lake.stage,
        "Log",
        [rows(*ids)],
        started=started,
        mode="overwrite" if start is None else "append",
        cursor={"column": "Changed", "from": start, "to": end},
        bookmark={"replication_key": "Changed", "replication_key_value": end},
    )


def test_of_two_jobs_over_the_same_loads_each_load_is_applied_once(lake: Lake, clients: Clients) -> None:
    lake.run(append(lake, 0, None, "1", 1))
    load = append(lake, 1, "1", "3", 2, 3)
    arguments = [lake.order([load]), lake.order([load], staged=[load.load_id, "20000101T000000Z-000000000000"])]
    jobs = [clients.start(each) for each in arguments]
    ends = [job.result(200) for job in jobs]
    assert [code for code, _ in ends] == [0, 0], ends
    assert lake.rows("log", "Id") == [(1,), (2,), (3,)]
    assert len(lake.ledger()) == 2


@pytest.mark.parametrize("engine", SAIL_FIRST, indirect=True, scope="session")
def test_a_lease_that_another_holds_is_waited_for_and_then_told(lake: Lake) -> None:
    lake.run(append(lake, 0, None, "1", 1))
    statement = "UPDATE delta.`{}` SET owner = 'somebody', expires_at = TIMESTAMP'{}Z'"
    hold(lake, statement.format(lake.tables / "_lease", "2999-01-01 00:00:00"))
    load = append(lake, 1, "1", "2", 2)
    code, printed = lake.engine.run([*lake.order([load]), "--lease-wait", "0"])
    told = lake.published()["loads"][load.load_id]
    assert (code, told["status"]) == (1, "blocked"), printed
    assert "another job writes into this target: somebody holds it since" in told["problems"][0]
    assert load.load_id not in lake.ledger() and lake.rows("log", "Id") == [(1,)]
    hold(lake, statement.format(lake.tables / "_lease", "2020-01-01 00:00:00"))
    lake.run(load)
    assert lake.rows("log", "Id") == [(1,), (2,)]
    [row] = DeltaTable(str(lake.tables / "_lease")).to_pyarrow_table().to_pylist()
    assert (row["owner"], row["fence"]) == (None, 2)


def hold(lake: Lake, statement: str) -> None:
    """Runs a statement on the engine, as another job would."""
    script = lake.folder / "statement.py"
    script.write_text(f"from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().sql({statement!r}).collect()\n")
    code, printed = lake.engine.run([], script=script)
    assert code == 0, printed


@dataclass
class Slow:
    """A job that has stopped before its write in one mode, as on a machine that sleeps: its lease is not renewed."""

    mode: str
    lake: Lake
    loads: list[Made]
    job: Job
    gate: Path

    @classmethod
    def start(cls, mode: str, lake: Lake, clients: Clients) -> Slow:
        def load(started: int, start: str, end: str, value: int) -> Made:
            made = append(lake, started, None if mode == "overwrite" else start, end, 7 if mode == "merge" else value)
            if mode == "merge":
                made.rewrite(key_columns=["Id"], mode="merge")
            return made

        lake.run(append(lake, 0, None, "1", 1))
        loads, gate = [load(1, "1", "2", 2), load(2, "2", "3", 3)], lake.folder / "gate"
        variables = {"LAKEHOUSE_HOLD": f"{mode}-waiting:{gate}", "LAKEHOUSE_LEASE_SECONDS": LEASE_S[lake.engine.kind]}
        return cls(mode, lake, loads, clients.start(lake.order(loads[:1]), **variables), gate)

    def fall_asleep(self) -> None:
        until = time.monotonic() + 100
        while not Path(f"{self.gate}.reached").exists():
            assert not self.job.ended.done() and time.monotonic() < until, self.job.printed.read_text()
            time.sleep(0.05)
        os.kill(self.job.pid, signal.SIGSTOP)

    def wake(self) -> tuple[int, str]:
        self.gate.touch()
        os.kill(self.job.pid, signal.SIGCONT)
        return self.job.result(100)


@contextmanager
def asleep(engine: Engine, clients: Clients, folder: Path) -> Iterator[list[Slow]]:
    """A job in each mode that has fallen asleep: their leases run out at the same time."""
    slow = [Slow.start(mode, Lake(engine, folder / mode), clients) for mode in MODES[engine.kind]]
    try:
        for each in slow:
            each.fall_asleep()
        yield slow
    finally:
        for each in slow:
            if not each.job.ended.done():
                os.kill(each.job.pid, signal.SIGKILL)


def test_a_job_that_was_only_slow_changes_nothing_when_it_wakes(engine: Engine, clients: Clients, tmp_path: Path) -> None:
    """Its lease ran out while it slept, and another job has applied its load and a later one. Each mode on a lake of its own.

    That a slow full load does not come over a newer one is Delta's doing, by its transaction marks, which Sail does not know.
    """
    with asleep(engine, clients, tmp_path) as slow:
        for each in slow:
            each.lake.run(*each.loads)
            before, version = each.lake.rows("log"), DeltaTable(str(each.lake.tables / "log")).version()
            code, said = each.wake()
            assert code == 1 and "another job writes into this target" in said, (each.mode, said)
            assert each.lake.rows("log") == before, each.mode
            if engine.kind == "spark" and each.mode != "merge":
                assert DeltaTable(str(each.lake.tables / "log")).version() == version, each.mode
