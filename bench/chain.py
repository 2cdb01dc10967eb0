"""The whole chain on the demo's data, beside the customer's stack as published, against the same sandbox in the same run.

Memory is looked at in runs of its own: the kernel walks a process's pages for it, which is paid for by what is measured.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench import measure
from bench.figures import Figure, report
from bench.measure import Measured
from sandbox import launch, project

LINE = ["meltano", "run", "tap-mssql", "target-parquet-sqlserver", "tap-rest-api-msdk", "target-parquet-api"]
PUBLISHED_LINE = ["meltano", "run", "tap-mssql", "target-jsonl-sqlserver", "tap-rest-api-msdk", "target-jsonl-api"]
RUNS = int(os.environ.get("BENCH_RUNS", "3"))


def main() -> None:
    """Runs of ours (median) and one of the published stack (it takes minutes) for CPU seconds, two more of ours for memory."""
    with tempfile.TemporaryDirectory(prefix="bench-chain-") as name:
        folder = Path(name)
        with launch.sandbox(folder / "sandbox") as services:
            ours = [_ours(folder / f"ours-{number}", services.environment) for number in range(RUNS)]
            watched = _ours(folder / "watched", services.environment, memory=True)
            lakehouse = _lakehouse(folder / "watched", services.environment)
            published = _published(folder / "published", services.environment)
    cpu = statistics.median(m.cpu for m in ours)
    peaks = {program: max(m.peak.get(program, 0.0) for m in (watched, lakehouse)) for program in watched.peak | lakehouse.peak}
    figures = [
        Figure("chain.cpu_seconds", cpu, 12.0),
        Figure("chain.wall_seconds", statistics.median(m.wall for m in ours)),
        Figure("published.cpu_seconds", published.cpu),
        Figure("chain.cpu_against_published", cpu / published.cpu, 0.07),
        *(Figure(f"{p}.peak_mb", mb, None if p in ("meltano", "databricks") else 250.0) for p, mb in sorted(peaks.items())),
    ]
    raw = {"ours": [_raw(m) for m in ours], "watched": _raw(watched), "lakehouse": _raw(lakehouse), "published": _raw(published)}
    report("chain", figures, raw)


def _raw(measured: Measured) -> dict[str, object]:
    return {"cpu": measured.cpu, "wall": measured.wall, "peak_mb": measured.peak}


def _ours(folder: Path, variables: dict[str, str], memory: bool = False) -> Measured:
    project.make(folder)
    return _good(measure.run(LINE, folder, project.environment(folder, variables), memory))


def _lakehouse(folder: Path, variables: dict[str, str]) -> Measured:
    steps = "./entrypoint.sh upload && ./entrypoint.sh convert && ./entrypoint.sh verify"
    return _good(measure.run(["bash", "-c", steps], folder, project.environment(folder, variables)))


def _published(folder: Path, variables: dict[str, str]) -> Measured:
    shutil.copytree(
        launch.ROOT / "bench/published", folder, symlinks=True, ignore=shutil.ignore_patterns("output", "state", "run")
    )
    return _good(measure.run(PUBLISHED_LINE, folder, project.environment(folder, variables), memory=False))


def _good(measured: Measured) -> Measured:
    if measured.status:
        sys.exit(f"bench: a run ended with exit {measured.status}:\n{measured.output[-4000:]}")
    return measured


if __name__ == "__main__":
    main()
