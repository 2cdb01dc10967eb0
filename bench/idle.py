"""Runs in which nothing changed at any source, one after the other: what each costs, and that nothing grows.

All tables of the demo that a run can read on from (LOG_BASED or by a replication key); tables without a key, views and the API's
streams, which can only be read whole, are left out.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench import measure
from bench.figures import Figure, report
from bench.measure import Measured
from bench.sql import connection, execute
from sandbox import launch, project

RUNS = int(os.environ.get("BENCH_RUNS", "30"))
CPU_SECONDS = 6.0
PAIRS = int(os.environ.get("BENCH_PAIRS", "7"))
FLAT = 1.1  # a folder that has seen all these runs against a new one, and the last third of the runs against the first
WITH_KEY = """
    SELECT s.name, t.name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id
    JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
"""
LEFT_OUT = {"TAP_REST_API_MSDK__SELECT": '["!*.*"]', "TAP_MSSQL_DEFAULT_REPLICATION_METHOD": "auto"}


def main() -> None:
    """A first run that loads everything, then those that find nothing new; then by turns with a folder that is new."""
    with tempfile.TemporaryDirectory(prefix="bench-idle-") as name, launch.sandbox(Path(name) / "sandbox") as services:
        streams = track(services.sqlserver)
        variables = {**services.environment, **LEFT_OUT, "TAP_MSSQL_STREAMS": json.dumps(streams)}
        old, new = (loaded(Path(name) / each, variables, each) for each in ("old", "new"))
        before = jobs(services.workspace)
        runs, disk = [], []
        for _ in range(RUNS):
            runs.append(one(*old))
            disk.append(float(size(old[0])))
        pairs = [(one(*old), one(*new)) for _ in range(PAIRS)]
        watched = one(*old, memory=True)
        began = jobs(services.workspace) - before
    lines = [float(len(run.output.splitlines())) for run in runs]
    figures = [
        Figure("idle.streams", len(streams)),
        Figure("idle.cpu_seconds", statistics.median(run.cpu for run in runs), CPU_SECONDS),
        Figure("idle.wall_seconds", statistics.median(run.wall for run in runs)),
        Figure("idle.job_runs", began, 0),
        Figure("idle.wall_after_all_against_new", statistics.median(aged.wall / fresh.wall for aged, fresh in pairs), FLAT),
        Figure("idle.cpu_after_all_against_new", statistics.median(aged.cpu / fresh.cpu for aged, fresh in pairs), FLAT),
        Figure("idle.disk_last_against_first", flatness(disk), FLAT),
        Figure("idle.log_lines_last_against_first", flatness(lines), FLAT),
        Figure("idle.peak_mb", watched.total, 250),
    ]
    raw = {
        **{what: [getattr(run, what) for run in runs] for what in ("cpu", "wall")},
        **{f"{what}_by_turns": [[getattr(run, what) for run in pair] for pair in pairs] for what in ("cpu", "wall")},
        "disk": disk,
        "lines": lines,
    }
    report("idle", figures, raw)


def loaded(folder: Path, variables: dict[str, str], name: str) -> tuple[Path, dict[str, str]]:
    """A project whose own stage and target hold everything, and its environment."""
    places = {"LAKEHOUSE_STAGE": f"dbfs:/{name}/stage", "LAKEHOUSE_TARGET": f"dbfs:/{name}/delta"}
    project.make(folder)
    environment = project.environment(folder, variables | places)
    one(folder, environment)
    return folder, environment


def track(server: launch.Counterpart) -> list[str]:
    """Switches Change Tracking on for every table with a primary key; their names."""
    with connection(server) as opened:
        keyed = [(schema, table) for schema, table in opened.cursor().execute(WITH_KEY).fetchall()]
    tracked = (f"ALTER TABLE [{schema}].[{table}] ENABLE CHANGE_TRACKING" for schema, table in keyed)
    execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON", *tracked)
    return [f"{schema}.{table}" for schema, table in keyed]


def one(folder: Path, environment: dict[str, str], memory: bool = False) -> Measured:
    """A run of the whole pipeline."""
    measured = measure.run(["./entrypoint.sh"], folder, environment, memory)
    if measured.status:
        sys.exit(f"bench: a run ended with exit {measured.status}:\n{measured.output[-4000:]}")
    return measured


def jobs(workspace: launch.Counterpart) -> int:
    """The workspace's job runs so far."""
    url = f"http://127.0.0.1:{workspace.facts['port']}/api/2.2/jobs/runs/list?limit=25"
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {workspace.secret}"})
    with urllib.request.urlopen(asked) as answer:
        found = json.load(answer)
    if found.get("has_more"):
        sys.exit("bench: more runs than a page of the list holds")
    return len(found.get("runs", ()))


def size(folder: Path) -> int:
    """Bytes of what the project's folder holds of its own, links left out."""
    files = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files if not file.is_symlink())


def flatness(values: list[float]) -> float:
    """The median of the last third against that of the first."""
    third = max(len(values) // 3, 1)
    return statistics.median(values[-third:]) / statistics.median(values[:third])


if __name__ == "__main__":
    main()
