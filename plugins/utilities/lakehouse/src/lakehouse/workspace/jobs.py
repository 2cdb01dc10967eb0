"""Runs of the conversion job: submitting one and waiting for it (Jobs API 2.1)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from lakehouse.errors import ConvertError
from lakehouse.settings import Settings
from lakehouse.workspace.rest import Workspace

SUBMISSIONS = 100  # of equal work that failed each time
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
POLL = wait_exponential(multiplier=0.3, exp_base=1.3, max=10)  # seconds between two looks
GRACE_S = 300  # beyond the job's own timeout
LOG_TAIL = 30  # lines


@dataclass(frozen=True)
class Run:
    """A run as runs/get tells it."""

    told: dict[str, Any]

    @property
    def run_id(self) -> int:
        """The run's number."""
        return int(self.told["run_id"])

    @property
    def page(self) -> str:
        """The address of the run's page, for people."""
        return str(self.told.get("run_page_url", ""))

    @property
    def state(self) -> str:
        """PENDING, RUNNING, TERMINATED …"""
        return str(self.told["state"].get("life_cycle_state"))

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        """Ended, and well."""
        return self.ended and self.told["state"].get("result_state") == "SUCCESS"

    @property
    def message(self) -> str:
        """Result and explanation, as the workspace words them."""
        return f"{self.told['state'].get('result_state') or self.state}: {self.told['state'].get('state_message', '')}"


class Jobs:
    """Runs of one name on one workspace."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings
        self.name = f"lakehouse: {settings.stage} to {settings.target}"

    def wait_for_others(self, say: Callable[[str], None]) -> None:
        """Waits for runs that a client which is gone has left behind."""
        for told in self._workspace.get("/2.1/jobs/runs/list", active_only="true", limit=25).get("runs", []):
            if told.get("run_name") == self.name:
                say(f"a run of this pipeline is still active, waiting for it: {told.get('run_page_url')}")
                self.wait(int(told["run_id"]), say)

    def submit(self, python_file: str, parameters: list[str], identity: str) -> Run:
        """The run of `identity`. One that failed earlier is not taken again: the next attempt has its own token."""
        recent = self._workspace.get("/2.1/jobs/runs/list", limit=25).get("runs", [])
        known = {int(each["run_id"]) for each in recent}
        for attempt in range(SUBMISSIONS):
            token = hashlib.sha256(f"{identity} {attempt}".encode()).hexdigest()
            body = self._body(python_file, parameters) | {"idempotency_token": token}
            run = self.get(int(self._workspace.post("/2.1/jobs/runs/submit", body)["run_id"]))
            old = run.run_id in known or int(run.told.get("start_time", 0)) < (time.time() - 3600) * 1000
            if run.succeeded or not (run.ended and old):
                return run
        raise ConvertError(
            f"this conversion failed {SUBMISSIONS} times, the last time in {run.page}",
            safe="Nothing more was submitted, Delta holds whole loads only",
            action="read that run's log, correct what it says, and run convert again",
        )

    def wait(self, run_id: int, say: Callable[[str], None]) -> Run:
        """Waits for the end of a run, for the job's timeout and five minutes at most."""
        state = ""

        def look() -> Run:
            nonlocal state
            run = self.get(run_id)
            if run.state != state:
                state = run.state
                say(f"run {run_id}: {state.lower()} {run.page}")
            return run

        def give_up(attempt: RetryCallState) -> NoReturn:
            assert attempt.outcome is not None
            raise ConvertError(
                f"run {run_id} has not ended in {self._settings.job_timeout + GRACE_S} seconds: {attempt.outcome.result().page}",
                safe="It may still be going on; Delta holds whole loads only",
                action="run convert again, which waits for it",
            )

        limit = stop_after_delay(self._settings.job_timeout + GRACE_S)
        is_open = retry_if_result(lambda run: not run.ended)
        ended: Run = Retrying(retry=is_open, stop=limit, wait=POLL, retry_error_callback=give_up)(look)
        return ended

    def get(self, run_id: int) -> Run:
        """The run as it is now."""
        return Run(self._workspace.get("/2.1/jobs/runs/get", run_id=run_id))

    def log_tail(self, run: Run) -> str:
        """The end of what the job printed, and its error."""
        tasks = run.told.get("tasks") or [run.told]
        output = self._workspace.get("/2.1/jobs/runs/get-output", run_id=tasks[0]["run_id"])
        lines = str(output.get("logs") or "").splitlines()[-LOG_TAIL:]
        return "\n".join([*lines, *([str(output["error"])] if output.get("error") else [])])

    def _body(self, python_file: str, parameters: list[str]) -> dict[str, Any]:
        settings = self._settings
        task: dict[str, Any] = {
            "task_key": "convert",
            "spark_python_task": {"python_file": python_file, "parameters": parameters},
            "timeout_seconds": settings.job_timeout,
        }
        body: dict[str, Any] = {"run_name": self.name, "tasks": [task], "timeout_seconds": settings.job_timeout}
        if settings.cluster_id:
            task["existing_cluster_id"] = settings.cluster_id
        elif settings.new_cluster:
            task["new_cluster"] = settings.new_cluster
        else:
            task["environment_key"] = "default"
            body["environments"] = [{"environment_key": "default", "spec": {"client": "2"}}]
        return body


def identity_of(*parts: object) -> str:
    """One text for what a run is about: equal work has an equal identity."""
    return json.dumps(parts, sort_keys=True, default=str)
