"""What the workspace's client does when the workspace fails: every fault over real HTTP, and what a person is told."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from lakehouse_kit import CLUSTER, TOKEN, VOLUME, Workspace, invocation, lakehouse, make_load

from lakehouse.errors import AccessDenied, ConvertError, PermissionMissing, WorkspaceError
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.job_progress import EVERY_S, JobProgress
from lakehouse.workspace import rest
from lakehouse.workspace.answers import LONGEST_WAIT_S, retry_after_s
from lakehouse.workspace.jobs import Jobs, Run
from singer_arrow.documents import LoadResult, PublishedDocument


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    counterpart = Workspace(tmp_path_factory.mktemp("shared"))
    yield counterpart
    counterpart.stop()


def settings(workspace: Workspace, **more: str) -> Any:
    given = {"DATABRICKS_HOST": workspace.url, "DATABRICKS_TOKEN": TOKEN, "DATABRICKS_CLUSTER_ID": CLUSTER} | more
    return load_settings({name: value for name, value in given.items() if value})


def jobs(workspace: Workspace, **more: str) -> Jobs:
    found = settings(workspace, **more)
    return Jobs(rest.Workspace(found), found)


def one_row(output: Path) -> None:
    make_load(output, "Orders", [pa.table({"Id": [1]})])


LIMIT = {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}}


@pytest.mark.parametrize(
    "fault",
    [
        LIMIT,
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 500, "after_effect": True},
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "cut"},
        {"kind": "cut", "after_effect": True},
        {"kind": "truncated"},
        {"kind": "half"},
        {"kind": "slow", "seconds": 0.2},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values() if not isinstance(value, dict)),
)
def test_a_fault_that_passes_costs_time_and_never_a_second_run(shared: Workspace, fault: dict[str, Any]) -> None:
    shared.fail({"path": "runs/submit", **fault}, runs=["fails"])
    submitted, before = jobs(shared).submit("dbfs:/job.py", []), len(shared.seen("runs/submit"))
    following = jobs(shared).submit("dbfs:/job.py", [])
    assert following.run_id == submitted.run_id + 2, "an answer that was lost has started a run of its own"
    assert len(shared.seen("runs/submit")) == before + 1
    if fault is LIMIT:
        first, second = [each["at"] for each in shared.seen("runs/submit")][-3:-1]
        assert second - first >= 1.0


def test_retry_after_is_seconds_or_a_date_by_the_workspaces_own_clock() -> None:
    now = datetime(2026, 11, 24, 16, tzinfo=UTC)
    date, wrong_clock = format_datetime(now + timedelta(seconds=30), usegmt=True), now + timedelta(days=1)
    assert retry_after_s({"Retry-After": "7"}) == 7
    assert retry_after_s({"Retry-After": date, "Date": format_datetime(now, usegmt=True)}, wrong_clock) == 30
    assert retry_after_s({"Retry-After": date}, now) == 30
    assert retry_after_s({"Retry-After": "99999"}) == LONGEST_WAIT_S
    assert retry_after_s({"Retry-After": date}, wrong_clock) == 0
    assert retry_after_s({"Retry-After": "soon"}) == 0 and retry_after_s({}) == 0


def test_a_lasting_fault_is_told_in_the_workspaces_words(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 2)
    shared.fail({"kind": "status", "path": "dbfs/list", "status": 503, "code": "TEMPORARILY_UNAVAILABLE", "times": 2})
    with pytest.raises(WorkspaceError, match=r"GET .*/dbfs/list: TEMPORARILY_UNAVAILABLE \(503\): The sandbox was asked") as told:
        open_stage(settings(shared)).sizes("x")
    assert told.value.exit_code is None


def test_runs_of_ours_are_found_among_any_number_of_others(shared: Workspace) -> None:
    shared.fail(runs=["hangs"])
    client, said = jobs(shared, LAKEHOUSE_TARGET="main.hidden"), list[str]()
    ours = client.submit("dbfs:/job.py", [])
    shared.fail(foreign_runs=60)
    assert [run.run_id for run in client.active()] == [ours.run_id]
    assert list(jobs(shared, LAKEHOUSE_TARGET="main.another").active()) == []

    def end_it(line: str) -> None:
        said.append(line)
        client.cancel(ours.run_id)

    client.wait_for_others(end_it)
    assert "still active, waiting for it" in said[0] and f"run {ours.run_id}: terminated" in said[-1], said


def test_a_run_that_hangs_is_cancelled_and_told_with_its_page(shared: Workspace) -> None:
    shared.fail(runs=["hangs"])
    client = jobs(shared, LAKEHOUSE_JOB_TIMEOUT="1")
    run = client.submit("dbfs:/job.py", [])
    with pytest.raises(
        ConvertError, match=rf"run {run.run_id} had not ended after 2 seconds and was cancelled: .*job/{run.run_id}/"
    ):
        client.wait(run.run_id, lambda line: None)
    assert client.get(run.run_id).message == "CANCELED, USER_CANCELED: Run cancelled."


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (
            "fails",
            "FAILED, RUN_EXECUTION_ERROR: Workload failed, see run output for details: RuntimeError: the sandbox was asked",
        ),
        ("cluster-dies", "FAILED, CLUSTER_ERROR: Cluster became unusable during the run since the driver became unhealthy"),
    ],
)
def test_a_job_that_fails_is_told_in_the_workspaces_words(shared: Workspace, output: Path, fate: str, told: str) -> None:
    one_row(output)
    stage = {"LAKEHOUSE_STAGE": f"dbfs:/{fate}/stage"}
    assert lakehouse(shared, output, "upload", **stage).returncode == 0
    shared.fail(runs=[fate])
    done = lakehouse(shared, output, "convert", **stage)
    assert done.returncode == 5 and told in done.stderr and "#job/" in done.stderr, done.stderr
    assert "the job began" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("moment", ["while it runs", "while it is submitted"])
def test_sigterm_cancels_the_run_and_says_so(shared: Workspace, output: Path, moment: str) -> None:
    one_row(output)
    stage = {"LAKEHOUSE_STAGE": f"dbfs:/{moment.replace(' ', '-')}/stage"}
    assert lakehouse(shared, output, "upload", **stage).returncode == 0
    slow = [{"kind": "slow", "seconds": 1.0, "path": "runs/submit"}] if moment == "while it is submitted" else []
    shared.fail(*slow, runs=["hangs"])
    command, environment = invocation(shared, output, "convert", **stage)
    before = len(shared.seen("runs/submit"))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        if slow:
            while len(shared.seen("runs/submit")) == before:
                assert running.poll() is None
        else:
            while ": running" not in running.stderr.readline():
                assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        rest_of_it = running.stderr.read()
    assert running.returncode == 143, rest_of_it
    client = jobs(shared, **stage)
    until = time.monotonic() + 20
    while list(client.active()):  # the slow submission has its effect after its client is gone
        assert time.monotonic() < until, "the run goes on"
    assert slow or "is cancelled" in rest_of_it


def test_progress_is_a_line_per_change_with_the_seconds_that_the_workspace_tells() -> None:
    running = Run({"run_id": 7, "state": {"life_cycle_state": "RUNNING", "state_message": "In run"},
                   "tasks": [{"setup_duration": 92_000}]})  # fmt: skip
    assert running.progress == "run 7: running, compute ready after 92 s, In run"
    ended = Run({"run_id": 7, "start_time": 1000, "end_time": 241_000, "state": {"life_cycle_state": "TERMINATED"}})
    assert ended.progress == "run 7: terminated, after 240 s"
    newer = {"state": "TERMINATED", "termination_details": {"code": "CLOUD_FAILURE", "message": "No capacity."}}
    assert Run({"run_id": 7, "status": newer}).message == "TERMINATED, CLOUD_FAILURE: No capacity."
    assert Run({"run_id": 7, "status": {"state": "TERMINATED", "termination_details": {"code": "SUCCESS"}}}).succeeded


def test_while_the_job_goes_on_a_line_says_how_many_loads_are_done(shared: Workspace) -> None:
    shared.fail(runs=["hangs"])
    stage, now, said = open_stage(settings(shared, LAKEHOUSE_STAGE="dbfs:/far/stage")), [0.0], list[str]()
    loads = [f"20261124T00000{n}Z-{n}aaaaaaaaaaa" for n in range(2)]
    progress = JobProgress(stage, "main.far", "0" * 12, loads, lambda: now[0])

    def told(*done: str, order: str = "0" * 12) -> str:
        results = [
            LoadResult(load_id=load, source="s", stream="t", table="s_t", mode="append", rows=1, source_rows=1, delta_rows=1,
                       status="applied", equal=True, problems=[])
            for load in done
        ]  # fmt: skip
        document = PublishedDocument(version=1, published_at="2026-11-24T00:00:00.000000Z", order=order, target="main.far",
                                     ledger="1" * 32, bookmarks={}, loads=results, committed=[])  # fmt: skip
        stage.write(f"_published/20261124T{int(now[0]):06d}000000Z-{order}/part-0.txt", msgspec.json.encode(document))
        return progress()

    assert told(loads[0]) == "", "not before the job can have published"
    now[0] += EVERY_S
    assert told(loads[0].replace("24T", "23T")) == "", "of loads that are no part of this order nothing is said"
    assert told(loads[0]) == "", "and it is not asked at each call"
    now[0] += EVERY_S
    assert progress() == "1 of 2 loads are done"
    now[0] += EVERY_S
    stage.write(f"_published/20261124T{int(now[0]):06d}000000Z-{'0' * 12}/part-0.txt", b"{}")
    assert progress() == "1 of 2 loads are done", "what cannot be read ends nothing"

    client = jobs(shared, LAKEHOUSE_TARGET="main.far")
    run = client.submit("dbfs:/job.py", [])
    words = iter(["", "1 of 2 loads are done", "1 of 2 loads are done"])

    def going() -> str:
        word = next(words, None)
        if word is None:
            client.cancel(run.run_id)
        return word or "2 of 2 loads are done"

    client.wait(run.run_id, said.append, progress=going)
    assert [line for line in said if "1 of 2" in line] == [line for line in said if line.endswith("1 of 2 loads are done")]
    assert sum("1 of 2" in line for line in said) >= 1 and "loads are done" not in said[-1], said


def test_polls_without_a_change_say_nothing(shared: Workspace) -> None:
    shared.fail(runs=["hangs"])
    client, said = jobs(shared, LAKEHOUSE_TARGET="main.quiet"), list[str]()
    run = client.submit("dbfs:/job.py", [])
    while client.get(run.run_id).state == "PENDING":
        pass

    polls = len(shared.seen("runs/get"))
    shared.fail({"kind": "status", "path": "runs/get", "skip": 4, "status": 400, "code": "ENOUGH"})
    with pytest.raises(WorkspaceError, match="ENOUGH"):
        client.wait(run.run_id, said.append)
    assert len(shared.seen("runs/get")) - polls == 5 and len(said) == 1, said
    client.cancel(run.run_id)


def denied(path: str, message: str, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "path": path, "status": 403, "code": "PERMISSION_DENIED", "message": message, **more}


def test_a_missing_permission_comes_with_the_statement_that_grants_it(shared: Workspace) -> None:
    volume = open_stage(settings(shared, LAKEHOUSE_STAGE=VOLUME, DATABRICKS_CLUSTER_ID=""))
    shared.fail(denied("fs/files", "User does not have WRITE VOLUME on Volume 'main.lighthouse.stage'.", method="PUT"))
    with pytest.raises(PermissionMissing) as refused:
        volume.write("x/y.json", b"{}")
    told = str(refused.value)
    assert "User does not have WRITE VOLUME" in told and refused.value.exit_code == 2
    grants = "GRANT READ VOLUME, WRITE VOLUME ON VOLUME `main`.`lighthouse`.`stage` TO `sandbox@example.com`;\n"
    assert grants in told and "  GRANT USE SCHEMA ON SCHEMA `main`.`lighthouse` TO `sandbox@example.com`;\n" in told
    shared.fail(denied("fs/directories", "User does not have READ VOLUME."))
    with pytest.raises(PermissionMissing, match="GRANT READ VOLUME ON VOLUME `main`"):
        volume.sizes("x")
    shared.fail(denied("dbfs/list", "Public DBFS root is disabled. Access is denied on path: /lighthouse/stage."))
    with pytest.raises(PermissionMissing, match=r"LAKEHOUSE_STAGE to a folder in a volume(.|\n)*MODIFY ON ANY FILE TO `sandbox@"):
        open_stage(settings(shared)).sizes("x")
    shared.fail(denied("runs/submit", "You do not have permission to attach to the cluster."))
    with pytest.raises(PermissionMissing, match=f"give sandbox@example.com CAN RESTART on cluster {CLUSTER}"):
        jobs(shared).submit("dbfs:/job.py", [])


def test_a_part_that_may_not_be_written_is_told_with_the_statement_that_allows_it(shared: Workspace, output: Path) -> None:
    one_row(output)
    for stage, path, grant in (
        (VOLUME, "fs/files", "GRANT READ VOLUME, WRITE VOLUME ON VOLUME `main`.`lighthouse`.`stage`"),
        ("dbfs:/denied/stage", "dbfs/put|dbfs/create", "GRANT SELECT, MODIFY ON ANY FILE TO `sandbox@example.com`"),
    ):
        shared.fail(denied(path, "You may not do that."))
        more = {"LAKEHOUSE_STAGE": stage}
        refused = lakehouse(shared, output, "upload", **more)
        assert refused.returncode == 4 and grant in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
    assert "Your token may be expired or lack" in refused.stderr, "what 0.18 makes of every 403"


def test_a_token_revoked_meanwhile_is_told_as_such(workspace: Workspace) -> None:
    stage = open_stage(settings(workspace))
    stage.write("x", b"1")
    workspace.fail({"kind": "revoked", "path": "dbfs/"})
    with pytest.raises(
        AccessDenied, match=r"refused the token: .*Invalid access token.*check DATABRICKS_TOKEN: it may be"
    ) as refused:
        stage.write("y", b"2")
    assert TOKEN not in str(refused.value) and not isinstance(refused.value, PermissionMissing)
