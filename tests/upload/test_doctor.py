"""`lakehouse doctor`: what upload and convert need of the workspace, each tried, each failure with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from lakehouse_kit import TOKEN, VOLUME, Workspace, lakehouse, make_load, publish, result

SERVERLESS = {"LAKEHOUSE_STAGE": VOLUME, "DATABRICKS_CLUSTER_ID": ""}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    running = Workspace(tmp_path_factory.mktemp("doctor"))
    yield running
    running.stop()


def findings(workspace: Workspace, output: Path, code: int = 0, **more: str) -> dict[str, dict[str, str]]:
    done = lakehouse(workspace, output, "doctor", "--json", **more)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and TOKEN not in done.stdout + done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("more", "compute", "target"),
    [
        ({}, "cluster sandbox, 16.4.x-scala2.12, running", "only the job can look at it"),
        ({"DATABRICKS_CLUSTER_ID": "", "LAKEHOUSE_TARGET": "main.lighthouse"}, "one Standard_D4ds_v5", "is there"),
        (SERVERLESS | {"LAKEHOUSE_TARGET": "main.new"}, "serverless", "is not there yet: the job makes it"),
    ],
    ids=["an existing cluster", "none named", "serverless"],
)
def test_all_is_well_and_nothing_is_left_behind(
    more: dict[str, str], compute: str, target: str, shared: Workspace, output: Path
) -> None:
    found = findings(shared, output, **more)
    assert {each["status"] for each in found.values()} == {"ok"}, found
    assert compute in found["compute"]["text"] and target in found["target"]["text"]
    assert ("CLI" in found) == ("LAKEHOUSE_STAGE" not in more)
    assert "as sandbox@example.com" in found["login"]["text"] and "written, read, removed" in found["stage"]["text"]
    assert not [path for path in shared.data.rglob("*_doctor*") if path.is_file()]


@pytest.mark.parametrize(
    ("more", "failed", "text"),
    [
        ({"DATABRICKS_TOKEN": "wrong"}, "login", "403"),
        ({"DATABRICKS_CLUSTER_ID": "nope"}, "compute", "Cluster nope does not exist"),
        (SERVERLESS | {"LAKEHOUSE_STAGE": "/Volumes/main/nowhere/stage"}, "stage", "Volume 'main.nowhere.stage' does not exist"),
        ({"LAKEHOUSE_CLI": "/nowhere/databricks"}, "CLI", "there is no such program"),
        ({"LAKEHOUSE_TARGET": "nowhere.sales"}, "target", "Catalog 'nowhere' does not exist"),
    ],
)
def test_what_failed_is_told_with_what_to_do_and_the_rest_is_looked_at(
    more: dict[str, str], failed: str, text: str, shared: Workspace, output: Path
) -> None:
    found = findings(shared, output, 3, **more)
    assert text in found[failed]["text"], found[failed]
    assert found[failed]["fix"]
    if failed != "login":
        assert found["login"]["status"] == "ok" and found["runs"]["status"] == "ok"


def test_loads_that_are_stuck_and_a_run_under_way_are_warnings(workspace: Workspace, output: Path) -> None:
    refused = make_load(output, "Refused", [pa.table({"Id": [1]})])
    publish(workspace, [result(refused, "refused", "rows would be double")])
    found = findings(workspace, output)
    assert found["loads"]["status"] == "warning" and refused.load_id in found["loads"]["text"]
    assert "entrypoint.sh loads" in found["loads"]["fix"]
    assert found["runs"]["status"] == "ok"
