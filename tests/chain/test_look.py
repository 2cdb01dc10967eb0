"""`entrypoint.sh plan` and `doctor`: what a run would do, and what stands in its way, without a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from chain_kit import Pipeline


@pytest.fixture(scope="module")
def looked_at(pipeline: Callable[[str], Pipeline]) -> Pipeline:
    return pipeline("look")


def test_plan_tells_how_each_stream_would_be_read_and_reads_none(looked_at: Pipeline) -> None:
    told = looked_at.run("plan")
    assert told.code == 0, told.text
    lines = told.text.splitlines()
    assert any(line.split()[:3] == ["Sales-SalesOrderHeader", "overwrite", "SalesOrderID"] for line in lines), told.text
    assert any("no key: read by one query" in line for line in lines)
    assert any("no index begins with the replication key ModifiedDate" in line for line in lines)
    assert not list(looked_at.output.rglob("*.parquet"))


def test_plan_is_json_where_asked_for(looked_at: Pipeline) -> None:
    told = looked_at.run("plan", "--json")
    steps = {step["stream"]: step for step in json.loads(told.text[told.text.index("[\n") : told.text.rindex("]") + 1])}
    assert len(steps) == 17
    detail = steps["Sales-SalesOrderDetail"]
    assert (detail["mode"], detail["order"]) == ("overwrite", ["SalesOrderID", "SalesOrderDetailID"])
    assert detail["rows"] > 2_000 and detail["bytes"] > 100_000 and detail["ranges"] == 1


def test_doctor_says_all_is_well_and_then_what_is_not(looked_at: Pipeline) -> None:
    well = looked_at.run("doctor")
    assert well.code == 0, well.text
    for name in ("network", "TLS", "login", "database", "versions", "isolation", "clock", "permissions", "spool"):
        assert f"ok       {name}" in well.text
    ill = looked_at.run("doctor", TAP_MSSQL_PASSWORD="wrong")
    assert ill.code == 3
    assert "FAILED   login" in ill.text and "what to do: check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD" in ill.text
    assert "Traceback" not in ill.text


@pytest.mark.parametrize("command", [("plan", "--nope"), ("doctor", "--json", "more"), ("loads", "--nope"), ("drop",)])
def test_unknown_options_are_refused(command: tuple[str, ...], looked_at: Pipeline) -> None:
    assert looked_at.run(*command).code == 2


def test_plan_that_fails_says_what_the_tap_says_and_nothing_of_meltano(looked_at: Pipeline) -> None:
    ill = looked_at.run("plan", TAP_MSSQL_PASSWORD="wrong")
    assert ill.code == 3, ill.text
    told = [line for line in ill.text.splitlines() if "failed: meltano" not in line]
    assert len(told) == 1 and told[0].startswith("tap-mssql: SQL Server at 127.0.0.1,"), ill.text
    assert "the login was refused" in told[0] and "What to do: check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD" in told[0]
