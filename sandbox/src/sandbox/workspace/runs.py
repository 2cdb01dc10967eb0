"""Runs: one submitted Python file each, executed by `runner.py` in a process of its own.

DATA/runs/<run_id>/run.json     the record: survives a restart of the workspace
DATA/runs/<run_id>/logs         what the job printed
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from sandbox.workspace.storage import Storage

RUNNER = Path(__file__).with_name("runner.py")
HIDDEN = ("SANDBOX_", "DATABRICKS_", "LAKEHOUSE_", "TAP_", "API_")  # variables of the caller no job may see
LOG_LIMIT = 5 << 20  # bytes of logs that get-output returns
ENDED = ("TERMINATED", "INTERNAL_ERROR", "SKIPPED")


class Run(msgspec.Struct, kw_only=True):
    """One run and its single task. Times in ms since 1970 UTC."""

    run_id: int
    task_run_id: int
    name: str
    task_key: str
    token: str | None
    python_file: str
    parameters: list[str]
    environment: dict[str, str]
    cluster: dict[str, Any]
    timeout_seconds: int
    start_time: int
    end_time: int = 0
    life_cycle_state: str = "PENDING"
    result_state: str | None = None
    state_message: str = ""
    error: str | None = None
    error_trace: str | None = None
    run_type: str = "SUBMIT_RUN"
    running_since: int = 0
    termination: str = ""  # Jobs 2.2's code of why it ended

    @property
    def active(self) -> bool:
        """Whether the run has not ended."""
        return self.life_cycle_state not in ENDED


class Runs:
    """Starts, watches, cancels and records runs."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._folder = storage.root / "runs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._runs: dict[int, Run] = {}
        self.fates: list[str] = []  # of the next runs: fails, cluster-dies, hangs
        for file in sorted(self._folder.glob("*/run.json")):
            run = msgspec.json.decode(file.read_bytes(), type=Run)
            self._runs[run.run_id] = run
            if run.active:
                self._end(run, "INTERNAL_ERROR", "FAILED", "The workspace restarted while the run was active.")

    def submit(self, token: str | None, **what: Any) -> Run:
        """A new run, or the run that was submitted with the same idempotency token."""
        with self._lock:
            for run in self._runs.values():
                if token and run.token == token:
                    return run
            number = 1000 + 2 * len(self._runs)
            run = Run(run_id=number, task_run_id=number + 1, token=token, start_time=_now(), **what)
            self._runs[run.run_id] = run
            self._save(run)
            fate = self.fates.pop(0) if self.fates else ""
        threading.Thread(target=self._meet if fate else self._execute, args=(run, fate), daemon=True).start()
        return run

    def add_foreign(self, name: str) -> None:
        """An active run that has nothing to do with anything that was submitted; the runs of jobs are among them."""
        with self._lock:
            number = 1000 + 2 * len(self._runs)
            run = Run(run_id=number, task_run_id=number + 1, name=name, task_key="main", token=None, python_file="dbfs:/other.py",
                      parameters=[], environment={}, cluster={}, timeout_seconds=0, start_time=_now(), running_since=_now(),
                      life_cycle_state="RUNNING", run_type="SUBMIT_RUN" if number % 4 else "JOB_RUN")  # fmt: skip
            self._runs[run.run_id] = run
            self._save(run)

    def get(self, run_id: int) -> Run | None:
        """A run by its own id or by its task's."""
        return self._runs.get(run_id) or next((r for r in self._runs.values() if r.task_run_id == run_id), None)

    def newest_first(self) -> list[Run]:
        """All runs of this workspace, also from before a restart."""
        return sorted(self._runs.values(), key=lambda run: -run.run_id)

    def logs(self, run: Run) -> tuple[str, bool]:
        """The end of what the job printed, and whether its beginning is cut off."""
        file = self._home(run) / "logs"
        if not file.exists():
            return "", False
        data = file.read_bytes()
        return data[-LOG_LIMIT:].decode(errors="replace"), len(data) > LOG_LIMIT

    def cancel(self, run: Run, result: str = "CANCELED", why: str = "Run cancelled.") -> None:
        """Ends a run's process and records why."""
        with self._lock:
            if not run.active:
                return
            self._end(run, "TERMINATED", result, why)
        process = self._processes.get(run.run_id)
        if process:
            process.terminate()

    def stop(self) -> None:
        """Ends the runs that are still going, when the workspace shuts down."""
        for run in self.newest_first():
            self.cancel(run, why="The workspace shut down.")
        for process in list(self._processes.values()):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()

    def _meet(self, run: Run, fate: str) -> None:
        """What a fault makes of a run, without running it; a run that hangs does not even heed its timeout."""
        home = self._home(run)
        (home / "logs").write_text("the job began\n")
        with self._lock:
            if not run.active:
                return
            run.life_cycle_state, run.running_since = "RUNNING", _now()
            self._save(run)
            if fate == "fails":
                run.error = "RuntimeError: the sandbox was asked to fail"
                self._end(
                    run,
                    "TERMINATED",
                    "FAILED",
                    f"Workload failed, see run output for details: {run.error}",
                    "RUN_EXECUTION_ERROR",
                )
            elif fate == "cluster-dies":
                why = "Cluster became unusable during the run since the driver became unhealthy. Reason: Cloud provider shutdown."
                self._end(run, "INTERNAL_ERROR", "FAILED", why, "CLUSTER_ERROR")

    def _execute(self, run: Run, _: str) -> None:
        script = Path(self._storage.mounted(run.python_file))
        if not script.is_file():
            why = f"Cannot read the python file {run.python_file}. Please check driver logs for more details."
            self._end(run, "INTERNAL_ERROR", "FAILED", why, "RESOURCE_NOT_FOUND")
            return
        home = self._home(run)
        failure = home / "failure.json"
        order = {
            "file": str(script),
            "failure": str(failure),
            "parameters": [self._storage.mounted(p) for p in run.parameters],
        }
        (home / "order.json").write_text(json.dumps(order))
        environment = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)} | run.environment
        with (home / "logs").open("wb") as logs:
            command = [sys.executable, str(RUNNER), str(home / "order.json")]
            process = subprocess.Popen(command, stdout=logs, stderr=subprocess.STDOUT, env=environment, cwd=home)
        with self._lock:
            self._processes[run.run_id] = process
            if run.active:
                run.life_cycle_state, run.running_since = "RUNNING", _now()
                self._save(run)
            else:
                process.terminate()
        try:
            code = process.wait(run.timeout_seconds or None)
        except subprocess.TimeoutExpired:
            self.cancel(run, "TIMEDOUT", f"Run exceeded its timeout of {run.timeout_seconds} seconds.")
            code = process.wait()
        self._processes.pop(run.run_id, None)
        with self._lock:
            if not run.active:
                return
            if code == 0:
                self._end(run, "TERMINATED", "SUCCESS", "")
                return
            told = json.loads(failure.read_text()) if failure.exists() else {}
            run.error = told.get("error") or f"The Python process exited with code {code}."
            run.error_trace = told.get("trace")
            why = f"Workload failed, see run output for details: {run.error}"
            self._end(run, "TERMINATED", "FAILED", why, "RUN_EXECUTION_ERROR")

    def _end(self, run: Run, state: str, result: str, message: str, code: str = "") -> None:
        run.life_cycle_state, run.result_state, run.state_message, run.end_time = state, result, message, _now()
        run.termination = code or {"CANCELED": "USER_CANCELED"}.get(result, result)
        self._save(run)

    def _save(self, run: Run) -> None:
        file = self._home(run) / "run.json"
        file.parent.mkdir(exist_ok=True)
        hidden = file.with_name(".run.json")
        hidden.write_bytes(msgspec.json.encode(run))
        hidden.replace(file)

    def _home(self, run: Run) -> Path:
        return self._folder / str(run.run_id)


def _now() -> int:
    return time.time_ns() // 1_000_000
