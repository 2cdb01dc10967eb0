"""`entrypoint.sh plan` and `doctor`: what a run would do, and what stands in its way, without a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from chain_kit import Pipeline
from mssql_kit import execute, select


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
    assert any(line.split()[:4] == ["SalesOrderDetail", "overwrite", "-", "offset,"] for line in lines)
    assert not list(looked_at.output.rglob("*.parquet"))


def test_plan_is_json_where_asked_for(looked_at: Pipeline) -> None:
    told = looked_at.run("plan", "--json")
    steps = {step["stream"]: step for step in json.loads(told.text[told.text.index("[\n") : told.text.rindex("]") + 1])}
    assert [step["part"] for step in steps.values()].count("tap-mssql") == 17 and len(steps) == 21
    assert (steps["SalesOrderDetail"]["part"], steps["SalesOrderDetail"]["mode"]) == ("tap-rest-api-msdk", "overwrite")
    detail = steps["Sales-SalesOrderDetail"]
    assert (detail["mode"], detail["order"]) == ("overwrite", ["SalesOrderID", "SalesOrderDetailID"])
    assert detail["rows"] > 2_000 and detail["bytes"] > 100_000 and detail["ranges"] == 1


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_plan_says_why_a_stream_would_not_be_read_and_tells_of_the_others(form: tuple[str, ...], looked_at: Pipeline) -> None:
    wanted = json.dumps([{"pattern": "Person.Person", "replication_method": "LOG_BASED"}])
    told = looked_at.run("plan", *form, TAP_MSSQL_STREAM_OPTIONS=wanted)
    assert told.code == 3, told.text
    assert "stream Person-Person is LOG_BASED, and the database does not track changes" in told.text, told.text
    assert "ENABLE CHANGE_TRACKING" in told.text and "Person-Address" in told.text and "PurchaseOrderDetail" in told.text


def test_doctor_looks_at_all_three_counterparts(looked_at: Pipeline) -> None:
    well = looked_at.run("doctor")
    assert well.code == 0, well.text
    parts = {text.split("\n", 1)[0].split()[-1]: text for text in well.text.split("\n\n")}
    for name in ("network", "TLS", "login", "database", "versions", "isolation", "clock", "permissions", "spool"):
        assert f"ok       {name}" in parts["tap-mssql"]
    for name in ("network", "login", "clock", "SalesOrderHeader"):
        assert f"ok       {name}" in parts["tap-rest-api-msdk"]
    for name in ("login", "stage", "CLI", "compute", "target", "loads", "runs"):
        assert f"ok       {name}" in parts["lakehouse"]
    assert not list(looked_at.output.rglob("*.parquet"))
    stage = looked_at.sandbox.workspace.data / "dbfs/look/stage"
    assert not [path for path in stage.rglob("*") if path.is_file()]


def test_accept_tries_a_load_of_each_mode_in_the_workspace_and_leaves_nothing(looked_at: Pipeline) -> None:
    told = looked_at.run("accept", "databricks")
    assert told.code == 0, told.text
    for name in ("login", "upload", "convert", "overwrite", "append", "merge", "tables", "files"):
        assert f"ok       {name}" in told.text, told.text
    assert not list(looked_at.output.rglob("*.parquet"))
    assert not [path for path in (looked_at.sandbox.workspace.data / "dbfs/look").rglob("*") if path.is_file()]
    assert looked_at.run("accept").code == looked_at.run("accept", "oracle").code == 2


def test_accept_tries_everything_on_the_sql_server_agreed_to_and_leaves_nothing(looked_at: Pipeline) -> None:
    """The one run of all trials: the sandbox passes each of them, as a server of Microsoft's has to."""
    server = looked_at.sandbox.sqlserver
    refused = looked_at.run("accept", "mssql")
    assert refused.code == 2 and "it was not agreed to" in refused.text
    execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
    told = looked_at.run("accept", "mssql", "--yes", "--json")
    execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
    assert told.code == 0, told.text
    found = {each["name"]: each for each in json.loads(told.text[told.text.index("[\n") : told.text.rindex("]") + 1])}
    assert {each["status"] for name, each in found.items() if name not in ("type hierarchyid", "left out")} == {"ok"}, told.text
    for name in ("type datetime2(7)", "key uniqueidentifier", "incremental by money", "Change Tracking", "resume", "removed"):
        assert name in found
    assert len(found) > 70 and "ALTER DATABASE" in found["left out"]["text"]
    assert select(server, "SELECT name FROM sys.schemas WHERE name = 'lighthouse_accept'").num_rows == 0


@pytest.mark.parametrize(
    ("variable", "part", "fix"),
    [
        ("TAP_MSSQL_PASSWORD", "tap-mssql", "check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD"),
        ("API_PASSWORD", "tap-rest-api-msdk", "check API_USER"),
        ("DATABRICKS_TOKEN", "lakehouse", "check DATABRICKS_TOKEN"),
    ],
)
def test_doctor_finds_a_wrong_password_and_looks_at_the_others_all_the_same(
    variable: str, part: str, fix: str, looked_at: Pipeline
) -> None:
    ill = looked_at.run("doctor", "--json", **{variable: "wrong-password"})
    assert ill.code == 3, ill.text
    assert "Traceback" not in ill.text and "wrong-password" not in ill.text
    found = json.loads(ill.text[ill.text.index("[\n") : ill.text.rindex("]") + 1])
    failed = [each for each in found if each["status"] == "failed"]
    assert [(each["part"], each["name"]) for each in failed] == [(part, "login")]
    assert fix in failed[0]["fix"]
    assert {each["part"] for each in found if each["status"] == "ok"} >= {"tap-mssql", "tap-rest-api-msdk", "lakehouse"} - {part}


@pytest.mark.parametrize("command", [("plan", "--nope"), ("doctor", "--json", "more"), ("loads", "--nope"), ("drop",)])
def test_unknown_options_are_refused(command: tuple[str, ...], looked_at: Pipeline) -> None:
    assert looked_at.run(*command).code == 2


def test_plan_of_a_source_that_fails_says_what_its_tap_says_nothing_of_meltano_and_the_other_is_told(looked_at: Pipeline) -> None:
    ill = looked_at.run("plan", TAP_MSSQL_PASSWORD="wrong")
    assert ill.code == 3, ill.text
    told = [line for line in ill.text.splitlines() if "failed: meltano" not in line]
    assert told[0].startswith("tap-mssql: SQL Server at 127.0.0.1,") and "Traceback" not in ill.text, ill.text
    assert [line for line in told if line.startswith("SalesOrderHeader  ")], ill.text
    assert "the login was refused" in told[0] and "What to do: check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD" in told[0]
