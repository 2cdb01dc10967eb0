"""Runs of the conversion job: submitting one, waiting for it, ending it (Jobs API 2.2).

https://docs.databricks.com/api/workspace/jobs/submit
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from lakehouse.errors import ConvertError, LakehouseError
from lakehouse.settings import Settings
from lakehouse.workspace.rest import Workspace
from lakehouse.workspace.small_cluster import small_cluster

API = "/2.2/jobs/runs"
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
POLL = wait_exponential(multiplier=0.3, exp_base=1.3, max=10)  # seconds between two looks
GRACE_S = 300  # beyond the job's own timeout, at most: for a cluster that must be found first
LOG_TAIL = 30  # lines
ENVIRONMENT_VERSION = "2"  # of serverless compute: Python 3.11


class Run(Struct, frozen=True):
    """A run as runs/get tells it: with `state`, which all versions of the API have, or with `status` alone."""

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
        return str(self._state.get("life_cycle_state") or self._status.get("state"))

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED

    @property
    def succeeded(self) -> bool:
        """Ended, and well."""
        return self.ended and (self._state.get("result_state") or self._ending.get("code")) == "SUCCESS"

    @property
    def message(self) -> str:
        """Result, cause and explanation, as the workspace words them: `FAILED, CLUSTER_ERROR: Cluster became unusable …`."""
        result, code = self._state.get("result_state") or self.state, self._ending.get("code")
        cause = f"{result}, {code}" if code and code != result else result
        return f"{cause}: {self._state.get('state_message') or self._ending.get('message') or 'no reason was given'}"

    @property
    def seconds(self) -> dict[str, float]:
        """What has taken how long, as far as the workspace tells it: `setup` until the compute was ready, and `whole`."""
        task = (self.told.get("tasks") or [self.told])[0]
        setup = task.get("setup_duration") or self.told.get("setup_duration")
        whole = self.told.get("run_duration") or _between(self.told.get("start_time"), self.told.get("end_time"))
        return {name: ms / 1000 for name, ms in (("setup", setup), ("whole", whole)) if ms}

    @property
    def progress(self) -> str:
        """One line for people: `run 7: running, compute ready after 92 s, In run`."""
        seconds, words = self.seconds, str(self._state.get("state_message") or "").strip()
        parts = [f"run {self.run_id}: {self.state.lower()}"]
        if self.ended and "whole" in seconds:
            parts.append(f"after {seconds['whole']:.0f} s")
        elif self.state == "RUNNING" and "setup" in seconds:
            parts.append(f"compute ready after {seconds['setup']:.0f} s")
        return ", ".join([*parts, *([words.splitlines()[0]] if words else [])])

    @property
    def _state(self) -> dict[str, Any]:
        return self.told.get("state") or {}

    @property
    def _status(self) -> dict[str, Any]:
        return self.told.get("status") or {}

    @property
    def _ending(self) -> dict[str, Any]:
        return self._status.get("termination_details") or {}


class Jobs:
    """Runs of one name on one workspace."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings
        self.name = f"lakehouse: {settings.stage} to {settings.target}"

    def active(self) -> Iterator[Run]:
        """The runs of this name that have not ended, whatever else goes on in the workspace."""
        query: dict[str, Any] = {"active_only": "true", "run_type": "SUBMIT_RUN"}
        while True:
            page = self._workspace.get(f"{API}/list", **query)
            yield from (Run(told) for told in page.get("runs", []) if told.get("run_name") == self.name)
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    def wait_for_others(self, say: Callable[[str], None]) -> None:
        """Waits for runs that a client which is gone has left behind."""
        for run in list(self.active()):
            say(f"a run of this pipeline is still active, waiting for it: {run.page}")
            self._wait(run.run_id, say)

    def submit(self, python_file: str, parameters: list[str]) -> Run:
        """Starts a run. What is repeated within this call, after an answer that was lost, cannot start another one.

        Where SIGTERM ends the program meanwhile, the run is cancelled.
        """
        body = self._body(python_file, parameters) | {"idempotency_token": str(uuid.uuid4())}
        try:
            return self.get(int(self._workspace.post(f"{API}/submit", body)["run_id"]))
        except SystemExit:
            self._cancel_now(lambda: int(self._workspace.post_now(f"{API}/submit", body)["run_id"]))  # the same run: same token
            raise

    def wait(
        self, run_id: int, say: Callable[[str], None], quiet_s: float = 0.0, progress: Callable[[], str] = lambda: ""
    ) -> Run:
        """Waits for the end of a run of ours; one that does not end in time, or at SIGTERM, is cancelled.

        What it does is said when it has lasted `quiet_s` seconds, and how far it is, as `progress` knows while it runs.

        Raises ConvertError after the job's timeout and as much again, five minutes at most.
        """
        try:
            return self._wait(run_id, say, quiet_s, progress)
        except SystemExit:
            cancelled = self._cancel_now(lambda: run_id)
            say(f"run {run_id} {'is cancelled' if cancelled else 'could not be cancelled and may go on'}")
            raise

    def cancel(self, run_id: int) -> None:
        """Ends a run, as soon as the workspace can. Nothing happens to one that has ended."""
        self._workspace.post(f"{API}/cancel", {"run_id": run_id})

    def get(self, run_id: int) -> Run:
        """The run as it is now."""
        return Run(self._workspace.get(f"{API}/get", run_id=run_id))

    def log_tail(self, run: Run) -> str:
        """The end of what the job printed, and its error."""
        tasks = run.told.get("tasks") or [run.told]
        output = self._workspace.get(f"{API}/get-output", run_id=tasks[0]["run_id"])
        lines = str(output.get("logs") or "").splitlines()[-LOG_TAIL:]
        return "\n".join([*lines, *([str(output["error"])] if output.get("error") else [])])

    def _wait(
        self, run_id: int, say: Callable[[str], None], quiet_s: float = 0.0, progress: Callable[[], str] = lambda: ""
    ) -> Run:
        loud = time.monotonic() + quiet_s
        told, timeout_s = "", self._settings.job_timeout + min(GRACE_S, self._settings.job_timeout)

        def look() -> Run:
            nonlocal told
            run = self.get(run_id)
            line = ", ".join(filter(None, [run.progress, "" if run.ended else progress()]))
            if line != told and time.monotonic() >= loud:
                say(line if told else f"{line} {run.page}")
                told = line
            return run

        def give_up(attempt: RetryCallState) -> NoReturn:
            assert attempt.outcome is not None
            run: Run = attempt.outcome.result()
            self.cancel(run_id)
            raise ConvertError(
                f"run {run_id} had not ended after {timeout_s} seconds and was cancelled: {run.page}",
                action="look at that page for what it waited for; raise LAKEHOUSE_JOB_TIMEOUT if it was only slow, and run again",
            )

        is_open = retry_if_result(lambda run: not run.ended)
        ended: Run = Retrying(retry=is_open, stop=stop_after_delay(timeout_s), wait=POLL, retry_error_callback=give_up)(look)
        return ended

    def _cancel_now(self, run_id: Callable[[], int]) -> bool:
        """Cancels without patience, since whoever sent SIGTERM waits ten seconds; whether the workspace took it."""
        try:
            self._workspace.post_now(f"{API}/cancel", {"run_id": run_id()})
        except LakehouseError:
            return False
        return True

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
        elif not settings.on_volume:
            task["new_cluster"] = small_cluster(self._workspace.identity)
        else:
            task["environment_key"] = "default"
            body["environments"] = [{"environment_key": "default", "spec": {"environment_version": ENVIRONMENT_VERSION}}]
        return body


def _between(start_ms: int | None, end_ms: int | None) -> int:
    return end_ms - start_ms if start_ms and end_ms else 0
