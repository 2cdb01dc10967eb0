"""`where` of stream_options: which rows a stream has, in every load, count, plan and comparison."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import Tap, execute, good, same, select

from sandbox.launch import Counterpart, counterpart
from singer_arrow.documents import KeyRange
from tap_mssql.config.conditions import problem
from tap_mssql.config.settings import parse
from tap_mssql.singer import batch_output, reconciling
from tap_mssql.singer.run import Run

WHERE = "[state] = N'it''s (open' OR n % 10 = 3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("where"), "--only-parquet") as running:
        for name, key in (("Keyed", " PRIMARY KEY"), ("Heap", "")):
            execute(running, f"CREATE TABLE dbo.{name} (n int NOT NULL{key}, c int NULL, state nvarchar(20) NOT NULL)")
            states = ["it''s (open" if n % 4 else "done" for n in range(100)]
            rows = ", ".join(f"({n}, {n // 3}, N'{state}')" for n, state in enumerate(states))
            execute(running, f"INSERT INTO dbo.{name} VALUES {rows}")
        yield running


def options(name: str, **more: Any) -> dict[str, Any]:
    return {"streams": [f"dbo.{name}"], "stream_options": [{"pattern": f"dbo.{name}", "where": WHERE, **more}]}


@pytest.mark.parametrize("name", ["Keyed", "Heap"])
def test_a_whole_table_has_the_rows_that_meet_it_whatever_the_ranges(name: str, server: Counterpart, tmp_path: Path) -> None:
    ran = good(Tap(server, tmp_path).read(range_rows=9, **options(name)))
    expected = select(server, f"SELECT * FROM dbo.{name} WHERE {WHERE}")
    same(ran.table(f"dbo-{name}"), expected)
    document = ran.document(f"dbo-{name}")
    assert 0 < expected.num_rows < 100 and document["source_rows"] == expected.num_rows and document["table_rows"] is None
    assert f"only rows where {WHERE}" in document["notes"]


def test_an_incremental_stream_keeps_to_it_and_another_one_reads_the_stream_whole(server: Counterpart, tmp_path: Path) -> None:
    tap, by = Tap(server, tmp_path), {"replication_key": "c"}
    one = good(tap.read(range_rows=9, **options("Keyed", **by)))
    same(one.table("dbo-Keyed"), select(server, f"SELECT * FROM dbo.Keyed WHERE {WHERE}"))
    execute(server, "INSERT INTO dbo.Keyed VALUES (103, 34, N'done'), (104, 34, N'done'), (113, NULL, N'done'), (114, NULL, N'')")
    two = good(tap.read(one.state, **options("Keyed", **by)))
    assert set(two.table("dbo-Keyed")["n"].to_pylist()) == {99, 103, 113}, "from the bookmark's value on, and without a value"
    changed = {"where": "n > 102"} | by
    step = tap.steps(two.state, **options("Keyed", **changed))[0]["dbo-Keyed"]
    told = f"where was {WHERE} and is n > 102: this load reads the stream whole"
    assert (step["mode"], step["rows"], step["where"]) == ("overwrite", None, "n > 102") and told in step["warnings"]
    three = good(tap.read(two.state, **options("Keyed", **changed)))
    assert (
        set(three.table("dbo-Keyed")["n"].to_pylist()) == {103, 104, 113, 114}
        and three.document("dbo-Keyed")["mode"] == "overwrite"
    )
    without = good(tap.read(three.state, streams=["dbo.Keyed"], stream_options=[{"pattern": "dbo.Keyed", **by}]))
    assert without.table("dbo-Keyed").num_rows == 104 and "where was n > 102 and is not set" in without.said
    execute(server, "DELETE FROM dbo.Keyed WHERE n > 99")


@pytest.mark.parametrize("name", ["Keyed", "Heap"])
@pytest.mark.parametrize("where", ["nope = 1", "n = 1 ORDER BY n", "n = 1 GROUP BY n", "n = 1 UNION ALL SELECT 1"])
def test_what_is_no_condition_to_the_server_is_refused_by_name_before_a_row_is_read(
    where: str, name: str, server: Counterpart, tmp_path: Path
) -> None:
    tap = Tap(server, tmp_path)
    ran = tap.read(**options(name, where=where))
    told = f"the server does not take its where, {where}: "
    assert ran.code and told in ran.said and "correct where in stream_options" in ran.said
    steps, said = tap.steps(**options(name, where=where))
    assert not steps and told in said


def test_reconcile_and_repair_keep_to_it(server: Counterpart, tmp_path: Path) -> None:
    config = Tap(server, tmp_path).config(**options("Keyed"))
    run = Run(parse(config), config["batch_config"])
    choices = batch_output.choices(run, None)
    [table] = reconciling.figures(run, choices).tables
    assert not table.problem and sum(each.rows for each in table.ranges) == 75
    request = choices[0].request({}).repairing([KeyRange("10", "20")])
    with run.reading_requests([request]) as scheduler:
        load = next(scheduler.ended())
    assert load.document is not None and load.document.mode == "repair"
    expected = select(server, f"SELECT n FROM dbo.Keyed WHERE n > 10 AND n <= 20 AND ({WHERE})")
    assert load.document.rows == load.document.source_rows == expected.num_rows


ONE_CONDITION = ["", "a = 1", "a IN (1, 2) AND [b;--] = N';(''' OR \"c)\" = 1", "a = '/* -- '"]


@pytest.mark.parametrize("text", ONE_CONDITION)
def test_one_condition_is_no_problem(text: str) -> None:
    assert problem(text) == ""
