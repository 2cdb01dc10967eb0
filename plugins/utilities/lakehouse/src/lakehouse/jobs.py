"""Submitting the job and waiting for it: Jobs API 2.1."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import ConvertError
from lakehouse.settings import Settings
from lakehouse.workspace import Workspace

ATTEMPTS = 100
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
POLL = (0.3, 10.0)  # seconds between two looks: at first, at most
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
        for attempt in range(ATTEMPTS):
            token = hashlib.sha256(f"{identity} {attempt}".encode()).hexdigest()
            body = self._body(python_file, parameters) | {"idempotency_token": token}
            run = self.get(int(self._workspace.post("/2.1/jobs/runs/submit", body)["run_id"]))
            old = run.run_id in known or int(run.told.get("start_time", 0)) < (time.time() - 3600) * 1000
            if run.succeeded or not (run.ended and old):
                return run
        raise ConvertError(f"This conversion failed {ATTEMPTS} times; see {run.page}. Nothing was submitted.")

    def wait(self, run_id: int, say: Callable[[str], None]) -> Run:
        """Waits for the end of a run, for the job's timeout and five minutes at most."""
        pause, state = POLL[0], ""
        until = time.monotonic() + self._settings.job_timeout + 300
        while True:
            run = self.get(run_id)
            if run.state != state:
                state = run.state
                say(f"run {run_id}: {state.lower()} {run.page}")
            if run.ended:
                return run
            if time.monotonic() > until:
                raise ConvertError(f"Run {run_id} has not ended in time: {run.page}. It may go on; running again is safe.")
            time.sleep(pause)
            pause = min(pause * 1.3, POLL[1])

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
