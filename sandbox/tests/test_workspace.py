"""The workspace counterpart refuses what the real one refuses, and its runs are real processes."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.launch import Counterpart, counterpart

CLUSTER = "1124-120000-sandbox1"  # the one that a workspace has unless told otherwise


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Counterpart]:
    with counterpart("workspace", tmp_path) as running:
        yield running


def call(
    workspace: Counterpart, method: str, path: str, body: Any = None, token: str | None = None
) -> tuple[int, dict[str, Any]]:
    token = workspace.secret if token is None else token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    more = {"params": body} if method == "GET" else {"json": body}
    url = f"http://127.0.0.1:{workspace.facts['port']}/api{path}"
    answer = requests.request(method, url, headers=headers, timeout=30, **more)  # type: ignore[arg-type]
    return answer.status_code, answer.json()


def put(workspace: Counterpart, path: str, content: bytes) -> tuple[int, dict[str, Any]]:
    return call(workspace, "POST", "/2.0/dbfs/put", {"path": path, "contents": base64.b64encode(content).decode()})


def ended(workspace: Counterpart, run_id: int) -> dict[str, Any]:
    for _ in range(300):
        run = call(workspace, "GET", "/2.1/jobs/runs/get", {"run_id": run_id})[1]
        if run["state"].get("result_state"):
            return run
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def submission(file: str, **more: Any) -> dict[str, Any]:
    return {"run_name": "test", "tasks": [{"task_key": "t", "spark_python_task": {"python_file": file}, **more}]}


def test_refusals_carry_the_error_codes_clients_look_for(workspace: Counterpart) -> None:
    assert call(workspace, "GET", "/2.0/dbfs/list", {"path": "/"}, token="")[0] == 401
    status, body = call(workspace, "GET", "/2.0/dbfs/list", {"path": "/"}, token="wrong")
    assert (status, body) == (403, {"error_code": "403", "message": "Invalid access token."})
    assert call(workspace, "GET", "/2.0/dbfs/get-status", {"path": "/no"})[1]["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert put(workspace, "/a", b"x")[0] == 200
    assert put(workspace, "/a", b"x")[1]["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert put(workspace, "/b", b"x" * (1 << 20) + b"x")[1]["error_code"] == "MAX_BLOCK_SIZE_EXCEEDED"
    assert put(workspace, "/../b", b"x")[1]["error_code"] == "INVALID_PARAMETER_VALUE"
    assert call(workspace, "POST", "/2.0/clusters/create", {})[1]["error_code"] == "ENDPOINT_NOT_FOUND"
    assert call(workspace, "GET", "/2.1/jobs/runs/get", {"run_id": 7})[1]["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "one of new_cluster, existing_cluster_id"),
        ({"existing_cluster_id": "none"}, "Cluster none does not exist"),
        ({"new_cluster": {"num_workers": 1}}, "spark_version"),
        ({"environment_key": "default"}, "not defined"),
    ],
)
def test_a_submission_needs_something_to_run_on(workspace: Counterpart, more: dict[str, Any], message: str) -> None:
    status, body = call(workspace, "POST", "/2.1/jobs/runs/submit", submission("dbfs:/job.py", **more))
    assert status == 400 and message in body["message"]


def test_runs_are_processes_without_the_token_and_survive_a_restart(tmp_path: Path) -> None:
    script = b"import os, sys\nprint('token' if 'SANDBOX_TOKEN' in os.environ else 'no token')\nsys.exit('it broke')\n"
    body = submission("dbfs:/job.py", existing_cluster_id=CLUSTER) | {"idempotency_token": "same"}
    with counterpart("workspace", tmp_path) as first:
        put(first, "/job.py", script)
        run_id = call(first, "POST", "/2.1/jobs/runs/submit", body)[1]["run_id"]
        assert call(first, "POST", "/2.1/jobs/runs/submit", body)[1]["run_id"] == run_id
        assert ended(first, run_id)["state"]["result_state"] == "FAILED"
        output = call(first, "GET", "/2.1/jobs/runs/get-output", {"run_id": run_id + 1})[1]
        assert "no token" in output["logs"] and output["error"] == "SystemExit: it broke"
    assert first.process.returncode == 0
    with counterpart("workspace", tmp_path) as second:
        assert call(second, "POST", "/2.2/jobs/runs/submit", body)[1]["run_id"] == run_id


def test_a_missing_file_fails_and_a_cancelled_run_ends(workspace: Counterpart) -> None:
    body = submission("dbfs:/none.py", existing_cluster_id=CLUSTER)
    lost = ended(workspace, call(workspace, "POST", "/2.1/jobs/runs/submit", body)[1]["run_id"])
    assert lost["state"]["life_cycle_state"] == "INTERNAL_ERROR" and "dbfs:/none.py" in lost["state"]["state_message"]
    put(workspace, "/sleep.py", b"import time\ntime.sleep(100)\n")
    body = submission("dbfs:/sleep.py", existing_cluster_id=CLUSTER)
    run_id = call(workspace, "POST", "/2.1/jobs/runs/submit", body)[1]["run_id"]
    assert call(workspace, "POST", "/2.1/jobs/runs/cancel", {"run_id": run_id})[0] == 200
    assert ended(workspace, run_id)["state"]["result_state"] == "CANCELED"
