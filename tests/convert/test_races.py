"""Two jobs at once: the lease lets one write, and a job that was only slow adds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from engine_kit import CLIENT, Engine, Lake
from lakehouse_kit import Made, make_load

LEASE_S = {"sail": "1", "spark": "20"}  # longer than what a job does between two renewals


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


def test_of_two_jobs_over_the_same_loads_each_load_is_applied_once(lake: Lake) -> None:
    lake.run(append(lake, 0, None, "1", 1))
    load = append(lake, 1, "1", "3", 2, 3)
    arguments = [lake.order([load]), lake.order([load], staged=[load.load_id, "20000101T000000Z-000000000000"])]
    jobs = [lake.engine.start(each) for each in arguments]
    ends = [(job.wait(200), job.stdout.read() if job.stdout else "") for job in jobs]
    assert [code for code, _ in ends] == [0, 0], ends
    assert lake.rows("log", "Id") == [(1,), (2,), (3,)]
    assert len(lake.ledger()) == 2


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
    done = subprocess.run(
        [str(CLIENT), str(script)], env=os.environ | {"SPARK_REMOTE": lake.engine.remote}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_job_that_was_only_slow_changes_nothing_when_it_wakes(lake: Lake, mode: str) -> None:
    """It stops before its write, its lease runs out, another job applies its load and a later one; then it goes on."""
    slow_job(lake, mode)


@pytest.mark.parametrize("engine", [pytest.param("spark", marks=pytest.mark.spark)], indirect=True)
def test_a_slow_full_load_does_not_come_over_a_newer_one(engine: Engine, tmp_path: Path) -> None:
    """By Delta's own transaction marks, which Sail does not know."""
    slow_job(Lake(engine, tmp_path), "overwrite")


def slow_job(lake: Lake, mode: str) -> None:
    def load(started: int, start: str, end: str, value: int) -> Made:
        made = append(lake, started, None if mode == "overwrite" else start, end, 7 if mode == "merge" else value)
        if mode == "merge":
            made.rewrite(key_columns=["Id"], mode="merge")
        return made

    lake.run(append(lake, 0, None, "1", 1))
    first, second = load(1, "1", "2", 2), load(2, "2", "3", 3)
    gate = lake.folder / "gate"
    variables = {"LAKEHOUSE_HOLD": f"{mode}-waiting:{gate}", "LAKEHOUSE_LEASE_SECONDS": LEASE_S[lake.engine.kind]}
    slow = lake.engine.start(lake.order([first]), **variables)
    until = time.monotonic() + 100
    while not Path(f"{gate}.reached").exists():
        assert slow.poll() is None and time.monotonic() < until, slow.stdout.read() if slow.stdout else ""
        time.sleep(0.05)
    os.kill(slow.pid, signal.SIGSTOP)  # as a machine that sleeps: its lease is not renewed
    lake.run(first, second)
    before, version = lake.rows("log"), DeltaTable(str(lake.tables / "log")).version()
    gate.touch()
    os.kill(slow.pid, signal.SIGCONT)
    said, _ = slow.communicate(timeout=100)
    assert slow.returncode == 1 and "another job writes into this target" in said, said
    assert lake.rows("log") == before
    if lake.engine.kind == "spark" and mode != "merge":
        assert DeltaTable(str(lake.tables / "log")).version() == version
