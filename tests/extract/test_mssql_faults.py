"""Whatever breaks between the tap and the server: the run ends right, or it ends with an error. Never short data and exit 0."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mssql_kit import READ, TAP, Tap, equal, execute, good, same, select

from sandbox.launch import Counterpart, counterpart
from sandbox.proxy import Break, planned, proxy

ROWS = 20_000
Faults = Callable[..., None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("faults")
    ids = range(ROWS)
    pq.write_table(pa.table({"id": pa.array(ids, pa.int32()), "t": [f"row {n} ação" for n in ids]}), folder / "rows.parquet")
    options = ["--only-parquet", "--faults", str(folder / "server/faults.json")]
    options += ["--parquet", f"big.Keyed={folder / 'rows.parquet'}:id", "--parquet", f"big.Bare={folder / 'rows.parquet'}"]
    with counterpart("sqlserver", folder / "server", *options) as running:
        yield running


@pytest.fixture
def faults(server: Counterpart) -> Iterator[Faults]:
    file = server.data.parent / "faults.json"

    def write(**rules: Any) -> None:
        hidden = file.with_suffix(".new")
        hidden.write_text(json.dumps(rules))
        hidden.replace(file)

    yield write
    write()


@pytest.fixture
def tap(server: Counterpart, tmp_path: Path) -> Tap:
    return Tap(server, tmp_path, {"range_rows": 3_000, "retry_seconds": 60})


@pytest.fixture(scope="module")
def truth(server: Counterpart) -> pa.Table:
    return select(server, "SELECT * FROM big.Keyed ORDER BY id")


@pytest.mark.parametrize("seed", range(8))
def test_links_that_are_cut_at_random_bytes_lose_no_row_and_double_none(seed: int, tap: Tap, truth: pa.Table) -> None:
    with proxy(int(tap.server.facts["port"]), [Break(1 << 62), *planned(seed, 24, 600_000)]) as between:
        ran = tap.run(port=between.port)
    if ran.code == 0:
        equal(ran.table("big-Keyed"), truth)
        same(ran.table("big-Bare"), truth)
    else:
        assert "Traceback" not in ran.said and "Nothing" in ran.said
        for stream in ran.streams:
            same(ran.table(stream), truth)
    assert between.broken


def test_a_link_that_goes_silent_is_given_up_and_read_again(tap: Tap, truth: pa.Table) -> None:
    with proxy(int(tap.server.facts["port"]), [Break(1 << 62), Break(200_000, "silent"), Break(50_000, "silent")]) as between:
        ran = good(tap.run(port=between.port, idle_timeout=5, streams=["big.Keyed"]))
    equal(ran.table("big-Keyed"), truth)
    assert between.broken == 2
    assert "silent for too long" in ran.said


@pytest.mark.parametrize("error", [208, 229])
def test_a_server_that_does_not_show_how_large_tables_are_is_read_all_the_same(
    error: int, tap: Tap, faults: Faults, truth: pa.Table
) -> None:
    """They are only estimates; the doctor says that they are unknown."""
    faults(statements=[{"match": r"sys\.allocation_units", "error": error, "times": None}])
    ran = good(tap.run())
    equal(ran.table("big-Keyed"), truth)
    steps, said = tap.plan()
    assert steps["big-Keyed"]["rows"] is None and steps["big-Keyed"]["ranges"] is None, said
    config = tap.folder / "doctor.json"
    config.write_text(json.dumps(tap.config()))
    done = subprocess.run([TAP, "--config", config, "--doctor", "--json"], capture_output=True, text=True)
    [sizes] = [each for each in json.loads(done.stdout) if each["name"] == "sizes"]
    assert (sizes["status"], done.returncode) == ("warning", 0), done.stdout


@pytest.mark.parametrize("snapshot", ["always", "never"])
def test_a_link_cut_exactly_between_two_rows_is_no_end_of_the_rows(
    snapshot: str, tap: Tap, faults: Faults, truth: pa.Table
) -> None:
    """The driver takes it for one, without an error."""
    rule = {"match": READ + r"\[id\]", "after_rows": 1_000, "close": "between rows", "times": 3}
    faults(statements=[rule])
    ran = good(tap.run(snapshot=snapshot))
    equal(ran.table("big-Keyed"), truth)
    same(ran.table("big-Bare"), truth)


@pytest.mark.parametrize("error", [1205, 40197, 40501, 40613, 49918, 10928, 10929])
def test_an_error_that_passes_by_itself_is_tried_again_also_amid_the_rows(
    error: int, tap: Tap, faults: Faults, truth: pa.Table
) -> None:
    faults(statements=[{"match": READ + r"\[id\]", "after_rows": 500, "error": error, "times": 1}])
    ran = good(tap.run(streams=["big.Keyed"]))
    equal(ran.table("big-Keyed"), truth)
    assert "try 2 in" in ran.said


@pytest.mark.parametrize("error", [229, 208, 102])
def test_an_error_that_lasts_ends_the_stream_at_once(error: int, tap: Tap, faults: Faults) -> None:
    faults(statements=[{"match": READ + r"\[id\]", "error": error, "times": 99}])
    ran = tap.run(streams=["big.Keyed"])
    assert ran.code == 3 and not ran.streams
    assert "try 2" not in ran.said and "Traceback" not in ran.said and "What to do:" in ran.said


def test_a_login_that_fails_twice_and_then_works_is_waited_for(tap: Tap, faults: Faults, truth: pa.Table) -> None:
    faults(logins=[{"error": 40613, "times": 2}])
    equal(good(tap.run(streams=["big.Keyed"])).table("big-Keyed"), truth)


def test_what_does_not_pass_within_its_budget_ends_the_run(tap: Tap, faults: Faults) -> None:
    faults(statements=[{"match": READ + r"\[id\]", "error": 1205, "times": None}])
    ran = tap.run(streams=["big.Keyed"], retry_seconds=1)
    assert ran.code == 3 and not ran.streams
    assert "deadlock" in ran.said and "retry_seconds" in ran.said and "Traceback" not in ran.said


def test_a_killed_session_is_read_again(tap: Tap, faults: Faults, server: Counterpart, truth: pa.Table) -> None:
    faults(statements=[{"match": READ + r"\[id\]", "after_rows": 700, "close": True, "times": 2}])
    equal(good(tap.run(streams=["big.Keyed"])).table("big-Keyed"), truth)


def test_latency_changes_nothing(tap: Tap, truth: pa.Table) -> None:
    with proxy(int(tap.server.facts["port"]), [], latency=0.005) as between:
        equal(good(tap.run(port=between.port, streams=["big.Keyed"])).table("big-Keyed"), truth)


@pytest.mark.parametrize("isolation", ["always", "never"])
def test_rows_that_come_and_go_elsewhere_do_not_disturb_a_range(
    isolation: str, tap: Tap, faults: Faults, server: Counterpart
) -> None:
    """Between the count and the rows of each range, rows are added behind it and removed before it."""
    name = f"Busy{isolation}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, t int NULL)")
    execute(server, f"INSERT INTO dbo.{name} SELECT id * 10, 0 FROM big.Keyed WHERE id < 3000")
    rules = [
        {"match": READ + rf"\[id\], \[t\] FROM \[dbo\]\.\[{name}\]", "skip": n, "times": 1,
         "run": f"DELETE FROM dbo.{name} WHERE id = {n * 10}; INSERT INTO dbo.{name} VALUES ({100_000 + n}, 1)"}
        for n in range(3)
    ]  # fmt: skip
    faults(statements=rules)
    ran = good(tap.run(streams=[f"dbo.{name}"], range_rows=500, snapshot=isolation, max_parallel=1))
    found = ran.table(f"dbo-{name}").column("id").to_pylist()
    assert len(found) == len(set(found))
    stayed = {n * 10 for n in range(3, 3000)}
    assert stayed <= set(found) <= stayed | {0, 10, 20} | {100_000 + n for n in range(3)}
    assert ran.document(f"dbo-{name}")["source_rows"] == len(found)


def test_a_row_that_goes_while_its_range_is_read_is_noticed(tap: Tap, faults: Faults, server: Counterpart) -> None:
    execute(server, "CREATE TABLE dbo.Going (id int NOT NULL PRIMARY KEY, t int NULL)")
    execute(server, "INSERT INTO dbo.Going SELECT id, 0 FROM big.Keyed WHERE id < 1000")
    rule = {"match": READ + r"\[id\], \[t\] FROM \[dbo\]\.\[Going\]", "times": 1}
    faults(statements=[{**rule, "run": "DELETE FROM dbo.Going WHERE id = 5"}])
    ran = good(tap.run(streams=["dbo.Going"], snapshot="never"))
    assert set(ran.table("dbo-Going").column("id").to_pylist()) == set(range(1000)) - {5}
    assert ran.document("dbo-Going")["source_rows"] == 999, "counted again once the row was gone"
    rule = {"match": READ + r"\[id\], \[t\] FROM \[dbo\]\.\[Going\]", "times": 1}
    faults(statements=[{**rule, "run": "DELETE FROM dbo.Going WHERE id = 6"}])
    within = good(tap.run(streams=["dbo.Going"], snapshot="always"))
    assert 6 in within.table("dbo-Going").column("id").to_pylist(), "a snapshot shows the row that was there when it began"
