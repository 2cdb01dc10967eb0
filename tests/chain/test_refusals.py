"""What goes wrong outside is told in one message that names it, with the exit code of the step, and leaves nothing by halves."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from chain_kit import Pipeline, Result, free_port, strays
from source_kit import assert_same, source_tables
from webhook_kit import webhook

from sandbox.launch import Counterpart, counterpart

REQUIRED = (
    "TAP_MSSQL_HOST", "TAP_MSSQL_USER", "TAP_MSSQL_PASSWORD", "TAP_MSSQL_DATABASE", "API_HOST", "API_USER", "API_PASSWORD",
    "DATABRICKS_HOST", "DATABRICKS_TOKEN",
)  # fmt: skip
PREFIX = re.compile(r"^\S+ \[\w+ *\] \S+ +")  # of Meltano's log lines
ONE_TABLE = {"TAP_MSSQL__SELECT": '["HumanResources-Department.*"]'}


def assert_refused(result: Result, code: int, *named: str) -> None:
    """One message says so; Meltano repeats what a tap says when it discovers."""
    assert result.code == code, result.text
    assert "Traceback" not in result.text
    told = {PREFIX.sub("", line).strip() for line in result.text.splitlines() if all(word in line for word in named)}
    assert len(told) == 1, result.text


@pytest.fixture(scope="module")
def refused(pipeline: Callable[[str], Pipeline]) -> Pipeline:
    return pipeline("refused")


@pytest.mark.parametrize("command", [(), ("extract",), ("plan",), ("doctor",), ("check",)])
def test_all_missing_variables_are_named_at_once(command: tuple[str, ...], refused: Pipeline) -> None:
    result = refused.run(*command, **dict.fromkeys(REQUIRED, ""))
    for name in REQUIRED:
        assert_refused(result, 2, f"  - {name} is missing")
    assert "The configuration has 9 problems; nothing was connected to, nothing was changed:" in result.text
    assert "for example: TAP_MSSQL_HOST=db.example.com" in result.text
    assert not refused.output.joinpath("docker_elt").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"TAP_MSSQL_PASSWORD": "wrong"}, ("TAP_MSSQL_PASSWORD", "login was refused", "127.0.0.1"), id="password"),
        pytest.param({"TAP_MSSQL_SERVER_CERTIFICATE": ""}, ("TAP_MSSQL_SERVER_CERTIFICATE", "127.0.0.1"), id="certificate"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(changes: dict[str, str], named: tuple[str, ...], refused: Pipeline) -> None:
    """Also through Meltano; every way to be refused is in tests/extract/test_mssql_connect.py."""
    result = refused.run("extract", **changes)
    assert_refused(result, 3, *named)
    assert result.seconds < 30
    assert list(refused.output.rglob("sqlserver/**/*.parquet")) == list(refused.output.rglob("sqlserver/**/*.json")) == []


@pytest.mark.parametrize("wrong", ["password", "down"])
def test_an_api_that_cannot_be_read_is_named(wrong: str, pipeline: Callable[[str], Pipeline]) -> None:
    refused, host = pipeline("refused"), f"http://127.0.0.1:{free_port()}"
    changes, named = {
        "password": ({"API_PASSWORD": "wrong"}, ("401", "127.0.0.1")),
        "down": ({"API_HOST": host, "TAP_REST_API_MSDK_BACKOFF_MAX_SECONDS": "1"}, (host,)),
    }[wrong]
    result = refused.run("extract", **ONE_TABLE, **changes)
    assert_refused(result, 3, "tap-rest-api-msdk", *named)
    assert strays(refused.output) == []
    assert not list(refused.output.glob("docker_elt/api/**/*.json"))


@pytest.mark.parametrize("command", [(), ("finish",), ("upload",), ("convert",), ("verify",)])
def test_a_token_that_is_refused_is_a_matter_of_configuration_whatever_step_finds_it(
    command: tuple[str, ...], kept: Path, pipeline: Callable[[str], Pipeline]
) -> None:
    one = pipeline("forbidden")
    shutil.copytree(kept / "output/docker_elt", one.output / "docker_elt")
    with webhook() as hook:
        result = one.run(*command, DATABRICKS_TOKEN="wrong", ALERT_WEBHOOK=hook.url)
    assert [(each["event"], each["code"]) for each in hook.heard] == ([] if command else [("failure", 2)])
    assert_refused(result, 2, "DATABRICKS_TOKEN", one.environment["DATABRICKS_HOST"], "403")
    assert strays(one.output) == []


def test_a_full_storage_stops_the_upload_and_the_next_one_sends_the_rest(
    kept: Path, pipeline: Callable[[str], Pipeline], tmp_path: Path
) -> None:
    one = pipeline("full")
    shutil.copytree(kept / "output/docker_elt", one.output / "docker_elt")

    def upload(workspace: Counterpart) -> Result:
        host = f"http://127.0.0.1:{workspace.facts['port']}"
        return one.run("upload", DATABRICKS_HOST=host, DATABRICKS_TOKEN=workspace.secret)

    with counterpart("workspace", tmp_path, "--quota", "300000") as workspace:
        assert_refused(upload(workspace), 4, "storage is full", "LAKEHOUSE_STAGE")
        stage = workspace.data / "dbfs/full/stage"
        arrived = {path: path.stat().st_mtime_ns for path in stage.rglob("*.parquet")}
        assert arrived
        assert not list(half_written_on(stage)), "a manifest names files that are missing"
    assert strays(one.output) == []
    with counterpart("workspace", tmp_path) as workspace:
        done = upload(workspace)
        assert done.code == 0, done.text
        assert {path: path.stat().st_mtime_ns for path in arrived} == arrived
        local = {
            path.relative_to(one.output / "docker_elt"): path.stat().st_size
            for path in files(one.output / "docker_elt")
            if path.name != ".lock"
        }
        assert {path.relative_to(stage): path.stat().st_size for path in files(stage)} == local


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def half_written_on(stage: Path) -> list[str]:
    """Files that manifests on a stage name and that are not there in full."""
    named = [
        (manifest.parents[1] / file["path"], file["bytes"])
        for manifest in stage.glob("*/_manifests/*.json")
        for file in json.loads(manifest.read_text())["files"]
    ]
    return [str(path) for path, size in named if not path.is_file() or path.stat().st_size != size]


def test_a_job_that_fails_is_told_and_the_next_one_loads_everything(kept: Path, pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("job")
    shutil.copytree(kept / "output/docker_elt", one.output / "docker_elt")
    assert one.run("upload").code == 0
    below_a_file = f"dbfs:/job/stage/sqlserver/_manifests/{next(one.output.glob('docker_elt/sqlserver/_manifests/*')).name}/delta"
    failed = one.run("convert", LAKEHOUSE_TARGET=below_a_file)
    assert_refused(failed, 5, "the job did not end well")
    assert not one.delta.exists()
    done = one.run("convert")
    assert done.code == 0, done.text
    manifests = [json.loads(path.read_text()) for path in one.output.glob("docker_elt/*/_manifests/*.json")]
    assert {row["load_id"]: row["delta_rows"] for row in one.ledger()} == {m["load_id"]: m["rows"] for m in manifests}
    name = "sales_sales_order_detail"
    assert_same(name, source_tables(one.sandbox.sqlserver)[name], one.table(name))
    assert one.run("verify").code == 0
