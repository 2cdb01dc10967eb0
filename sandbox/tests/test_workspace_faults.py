"""The workspace's faults, Jobs 2.2 and OAuth: what a client can meet, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.launch import Counterpart, counterpart

CLUSTER = "1124-120000-sandbox1"
BODY = {
    "tasks": [
        {"task_key": "t", "existing_cluster_id": CLUSTER, "spark_python_task": {"python_file": "dbfs:/none.py"}},
    ]
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("workspace", tmp_path_factory.mktemp("workspace")) as running:
        yield running


def call(workspace: Counterpart, method: str, path: str, token: str = "", timeout: float = 30, **more: Any) -> requests.Response:
    url = f"http://127.0.0.1:{workspace.facts['port']}{path}"
    return requests.request(
        method, url, headers={"Authorization": f"Bearer {token or workspace.secret}"}, timeout=timeout, **more
    )


def fail(workspace: Counterpart, *faults: dict[str, Any], **more: Any) -> None:
    assert call(workspace, "POST", "/sandbox/faults", json={"requests": faults} | more).status_code == 200


def mkdirs(workspace: Counterpart, path: str, **more: Any) -> requests.Response:
    return call(workspace, "POST", "/api/2.0/dbfs/mkdirs", json={"path": path}, **more)


def is_there(workspace: Counterpart, path: str) -> bool:
    return call(workspace, "GET", "/api/2.0/dbfs/get-status", params={"path": path}).status_code == 200


def test_requests_fail_as_often_and_as_late_as_asked_before_and_after_their_effect(workspace: Counterpart) -> None:
    busy = {"status": 429, "code": "REQUEST_LIMIT_EXCEEDED", "headers": {"Retry-After": "1"}}
    fail(workspace, {"kind": "status", "path": "mkdirs", "skip": 1, "times": 2, **busy})
    answers = [mkdirs(workspace, f"/limit/{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "1" and answers[1].json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    for after_effect in (False, True):
        for kind in ("status", "cut"):
            path = f"/effect/{kind}-{after_effect}"
            fail(workspace, {"kind": kind, "path": "mkdirs", "after_effect": after_effect})
            if kind == "cut":
                with pytest.raises(requests.ConnectionError):
                    mkdirs(workspace, path)
            else:
                assert mkdirs(workspace, path).status_code == 500
            assert is_there(workspace, path) == after_effect
    assert call(workspace, "POST", "/sandbox/faults", token="wrong", json={}).status_code == 403
    seen = call(workspace, "GET", "/sandbox/requests").json()
    assert [each["status"] for each in seen][:4] == [200, 429, 429, 200]


def test_answers_come_late_or_broken_off(workspace: Counterpart) -> None:
    mkdirs(workspace, "/broken")
    fail(workspace, {"kind": "truncated", "method": "GET"})
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        is_there(workspace, "/broken")
    fail(workspace, {"kind": "half", "method": "GET"})
    with pytest.raises(requests.exceptions.JSONDecodeError):
        call(workspace, "GET", "/api/2.0/dbfs/get-status", params={"path": "/broken"}).json()
    fail(workspace, {"kind": "slow", "method": "GET", "seconds": 0.3})
    with pytest.raises(requests.ReadTimeout):
        call(workspace, "GET", "/api/2.0/dbfs/list", timeout=0.1, params={"path": "/"})
    fail(workspace, quota=10)
    refused = call(workspace, "POST", "/api/2.0/dbfs/put", json={"path": "/broken/x", "contents": "eHh4eHh4eHh4eHh4eHg="})
    assert refused.json()["error_code"] == "QUOTA_EXCEEDED"


def ended(workspace: Counterpart, run_id: int) -> dict[str, Any]:
    for _ in range(300):
        run = call(workspace, "GET", "/api/2.2/jobs/runs/get", params={"run_id": run_id}).json()
        if run["state"].get("result_state"):
            return dict(run)
        time.sleep(0.02)
    raise AssertionError("the run did not end")


def test_runs_meet_the_fate_that_was_asked_for(workspace: Counterpart) -> None:
    fail(workspace, runs=["fails", "cluster-dies", "hangs"])
    failed, died, hanging = (call(workspace, "POST", "/api/2.2/jobs/runs/submit", json=BODY).json()["run_id"] for _ in range(3))
    run = ended(workspace, failed)
    assert (run["state"]["life_cycle_state"], run["state"]["result_state"]) == ("TERMINATED", "FAILED")
    run = ended(workspace, died)
    assert run["state"]["life_cycle_state"] == "INTERNAL_ERROR" and run["status"]["state"] == "TERMINATED"
    assert run["status"]["termination_details"]["code"] == "CLUSTER_ERROR"
    assert "driver became unhealthy" in run["state"]["state_message"]
    assert call(workspace, "POST", "/api/2.2/jobs/runs/cancel", json={"run_id": hanging}).status_code == 200
    run = ended(workspace, hanging)
    assert run["status"]["termination_details"]["code"] == "USER_CANCELED" and run["run_duration"] >= 0


def test_runs_are_listed_page_by_page_and_by_type(workspace: Counterpart) -> None:
    fail(workspace, foreign_runs=30)
    query: dict[str, Any] = {"active_only": "true"}
    pages = []
    while True:
        page = call(workspace, "GET", "/api/2.2/jobs/runs/list", params=query).json()
        pages.append([run["run_name"] for run in page["runs"]])
        if not page["has_more"]:
            break
        fail(workspace, foreign_runs=1)  # a new run does not move what is on the pages that follow
        query["page_token"] = page["next_page_token"]
    assert [len(page) for page in pages] == [20, 10] and len(set(pages[0] + pages[1])) == 30
    page = call(workspace, "GET", "/api/2.2/jobs/runs/list", params={"run_type": "SUBMIT_RUN", "limit": 25}).json()
    assert {run["run_type"] for run in page["runs"]} == {"SUBMIT_RUN"}
    assert (
        call(workspace, "GET", "/api/2.2/jobs/runs/list", params={"limit": 26}).json()["error_code"] == "INVALID_PARAMETER_VALUE"
    )


def test_serverless_needs_its_version_of_the_environment(workspace: Counterpart) -> None:
    task = {
        "task_key": "t",
        "environment_key": "e",
        "spark_python_task": {"python_file": "/Volumes/main/lighthouse/stage/none.py"},
    }
    for spec, status in (({}, 400), ({"client": "2"}, 200), ({"environment_version": "2"}, 200)):
        body = {"tasks": [task], "environments": [{"environment_key": "e", "spec": spec}]}
        assert call(workspace, "POST", "/api/2.2/jobs/runs/submit", json=body).status_code == status, spec


def test_a_service_principal_gets_tokens_that_expire_and_can_be_revoked(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_CLIENT_ID", "app")
    monkeypatch.setenv("SANDBOX_CLIENT_SECRET", "s3cret")
    with counterpart("workspace", tmp_path_factory.mktemp("oauth"), "--token-lifetime", "1") as workspace:
        server = call(workspace, "GET", "/oidc/.well-known/oauth-authorization-server").json()
        form = {"grant_type": "client_credentials", "scope": "all-apis"}

        def token(*login: str) -> requests.Response:
            return requests.post(server["token_endpoint"], data=form, auth=login, timeout=30)  # type: ignore[arg-type]

        assert token("app", "wrong").status_code == 401 and token("other", "s3cret").json()["error"] == "invalid_client"
        given = token("app", "s3cret").json()
        assert given["expires_in"] == 1 and given["token_type"] == "Bearer"
        assert mkdirs(workspace, "/a", token=given["access_token"]).status_code == 200
        fail(workspace, {"kind": "revoked", "path": "mkdirs"})
        assert mkdirs(workspace, "/a", token=given["access_token"]).status_code == 401
        second = token("app", "s3cret").json()["access_token"]
        assert mkdirs(workspace, "/a", token=second).status_code == 200
        until = time.monotonic() + 10
        while mkdirs(workspace, "/a", token=second).status_code == 200:
            assert time.monotonic() < until, "the token did not expire"
