"""Jobs API 2.0, 2.1 and 2.2, as far as one-time runs go: https://docs.databricks.com/api/workspace/jobs/submit."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.workspace.errors import ApiError, answer, invalid
from sandbox.workspace.runs import Run, Runs

VERSIONS = ("2.0", "2.1", "2.2")
PARAMETER_LIMIT = 10_000  # bytes of JSON that all parameters of a task may have
PAGE, PAGE_LIMIT = 20, 25  # runs in one answer of runs/list: usually, and at most
RUN_TYPES = ("JOB_RUN", "WORKFLOW_RUN", "SUBMIT_RUN")
STATUS = {"INTERNAL_ERROR": "TERMINATED", "SKIPPED": "TERMINATED"}  # life cycle states that Jobs 2.2's status words another way


class Jobs:
    """runs/submit, get, get-output, list, cancel."""

    def __init__(self, runs: Runs, clusters: tuple[str, ...]) -> None:
        self._runs = runs
        self._clusters = clusters

    def routes(self) -> list[Route]:
        """runs/* of every version."""
        gets = {"get": self.get, "get-output": self.get_output, "list": self.list}
        posts = {"submit": self.submit, "cancel": self.cancel}
        return [
            Route(f"/api/{version}/jobs/runs/{name}", _endpoint(call, method), methods=[method])
            for version in VERSIONS
            for method, calls in (("GET", gets), ("POST", posts))
            for name, call in calls.items()
        ]

    def submit(self, body: dict[str, Any], _: str) -> dict[str, Any]:
        """Starts a run of one Python file."""
        tasks = body.get("tasks")
        if tasks is None:  # the form of API 2.0: the run is the task
            tasks = [{"task_key": "main", **body}]
        if not isinstance(tasks, list) or len(tasks) != 1:
            raise invalid("The sandbox runs exactly one task per run.")
        task = tasks[0]
        job = task.get("spark_python_task")
        if not isinstance(job, dict) or not job.get("python_file"):
            raise invalid("Missing required field: a spark_python_task with a python_file must be specified.")
        file, parameters = str(job["python_file"]), job.get("parameters") or []
        if not file.startswith(("dbfs:/", "/Volumes/", "/Workspace/")):
            raise invalid(f"Invalid python file reference: {file}. It must be a path in DBFS, a volume or the workspace.")
        if not all(isinstance(each, str) for each in parameters):
            raise invalid("parameters must be strings")
        if len(json.dumps(parameters)) > PARAMETER_LIMIT:
            raise invalid(f"The task parameters exceed the limit of {PARAMETER_LIMIT} bytes.")
        if body.get("idempotency_token") and len(body["idempotency_token"]) > 64:
            raise invalid("idempotency_token must have at most 64 characters.")
        cluster, environment = self._cluster(task, body, file)
        run = self._runs.submit(
            body.get("idempotency_token"),
            name=body.get("run_name") or "Untitled",
            task_key=task.get("task_key") or "main",
            python_file=file,
            parameters=parameters,
            environment=environment,
            cluster=cluster,
            timeout_seconds=int(task.get("timeout_seconds") or body.get("timeout_seconds") or 0),
        )
        return {"run_id": run.run_id}

    def _cluster(self, task: dict[str, Any], body: dict[str, Any], file: str) -> tuple[dict[str, Any], dict[str, str]]:
        """What the task runs on, and the variables its process gets."""
        if existing := task.get("existing_cluster_id"):
            if existing not in self._clusters:
                raise invalid(f"Cluster {existing} does not exist")
            return {"existing_cluster_id": existing}, {}
        if new := task.get("new_cluster"):
            for name in ("spark_version", "node_type_id"):
                if not new.get(name) and not (name == "node_type_id" and new.get("instance_pool_id")):
                    raise invalid(f"Missing required field: settings.cluster_spec.new_cluster.{name}")
            if new.get("num_workers") == 0 and (new.get("spark_conf") or {}).get("spark.master") != "local[*]":
                raise invalid("A cluster without workers must be a single node: spark.master local[*] in its spark_conf.")
            return {"new_cluster": new}, {str(k): str(v) for k, v in (new.get("spark_env_vars") or {}).items()}
        if key := task.get("environment_key"):
            defined = {each.get("environment_key"): each.get("spec") or {} for each in body.get("environments") or []}
            if key not in defined:
                raise invalid(f"The environment {key} is not defined.")
            if not defined[key].get("environment_version") and not defined[key].get("client"):
                raise invalid("Missing required field: environment_version in the spec of a serverless environment.")
            if file.startswith("dbfs:/"):
                raise invalid("Python files in DBFS are not supported with serverless compute; use a volume or a workspace file.")
            return {"environment_key": key}, {}
        raise invalid("Missing required field: one of new_cluster, existing_cluster_id or environment_key must be specified.")

    def get(self, query: dict[str, Any], base: str) -> dict[str, Any]:
        """A run and its task."""
        return _described(self._find(query), base)

    def get_output(self, query: dict[str, Any], base: str) -> dict[str, Any]:
        """Logs and error of a run."""
        run = self._find(query)
        logs, cut = self._runs.logs(run)
        output: dict[str, Any] = {"metadata": _described(run, base), "logs": logs, "logs_truncated": cut}
        if run.error:
            output["error"] = run.error
        if run.error_trace:
            output["error_trace"] = run.error_trace
        return output

    def list(self, query: dict[str, Any], base: str) -> dict[str, Any]:
        """Runs, newest first, a page at a time. Of 2.0 and 2.1 also by `offset`."""
        limit, wanted = int(query.get("limit") or PAGE), query.get("run_type")
        if not 0 < limit <= PAGE_LIMIT:
            raise invalid(f"limit must be from 1 to {PAGE_LIMIT}")
        if wanted and wanted not in RUN_TYPES:
            raise invalid(f"run_type must be one of {', '.join(RUN_TYPES)}")
        runs = [run for run in self._runs.newest_first() if not wanted or run.run_type == wanted]
        if query.get("active_only") == "true":
            runs = [run for run in runs if run.active]
        if query.get("completed_only") == "true":
            runs = [run for run in runs if not run.active]
        if token := query.get("page_token"):
            last = _page_end(token)
            runs = [run for run in runs if run.run_id < last]
        runs = runs[int(query.get("offset") or 0) :]
        page: dict[str, Any] = {"has_more": len(runs) > limit}
        if runs:
            page["runs"] = [_described(run, base) for run in runs[:limit]]
        if page["has_more"]:
            page["next_page_token"] = base64.urlsafe_b64encode(f"before {runs[limit - 1].run_id}".encode()).decode()
        return page

    def cancel(self, body: dict[str, Any], _: str) -> dict[str, Any]:
        """Ends a run."""
        self._runs.cancel(self._find(body))
        return {}

    def _find(self, query: dict[str, Any]) -> Run:
        try:
            run = self._runs.get(int(query.get("run_id", "")))
        except ValueError:
            raise invalid("Missing required field: run_id") from None
        if run is None:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Run {query['run_id']} does not exist.")
        return run


def _page_end(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("before "))
    except ValueError:
        raise invalid("Invalid page_token") from None


def _described(run: Run, base: str) -> dict[str, Any]:
    state: dict[str, Any] = {"life_cycle_state": run.life_cycle_state, "state_message": run.state_message}
    status: dict[str, Any] = {"state": STATUS.get(run.life_cycle_state, run.life_cycle_state)}
    if run.result_state:
        state["result_state"] = run.result_state
        kind = "SUCCESS" if run.termination == "SUCCESS" else "CLIENT_ERROR"
        status["termination_details"] = {"code": run.termination, "type": kind, "message": run.state_message}
    times = {"start_time": run.start_time, "end_time": run.end_time}
    setup = run.running_since - run.start_time if run.running_since else 0
    of_task = {"setup_duration": setup, "execution_duration": run.end_time - run.start_time - setup if run.end_time else 0}
    of_run = {"run_duration": run.end_time - run.start_time} if run.end_time else {}
    shared = {"state": state, "status": status, **times}
    python = {"python_file": run.python_file, "parameters": run.parameters}
    task = {
        "run_id": run.task_run_id,
        "task_key": run.task_key,
        "spark_python_task": python,
        **run.cluster,
        **shared,
        **of_task,
        "cleanup_duration": 0,
    }
    names = {"job_id": run.run_id, "run_id": run.run_id, "run_name": run.name, "run_type": run.run_type}
    page = {"run_page_url": f"{base}/?o=1#job/{run.run_id}/run/1", "format": "MULTI_TASK"}
    return {**names, **page, **shared, **of_run, "tasks": [task]}


_Call = Callable[[dict[str, Any], str], dict[str, Any]]


def _endpoint(call: _Call, method: str) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        base = f"{request.url.scheme}://{request.headers.get('host', 'workspace')}"
        if method == "GET":
            given = dict(request.query_params)
        else:
            given = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
        return answer(await run_in_threadpool(call, given, base))

    return endpoint
