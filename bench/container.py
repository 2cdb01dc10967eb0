"""The image beside the customer's stack as published, both built on one base by one Docker engine, and run in the same run.

The stack as published is Meltano with the published taps and target-jsonl (the customer's target-parquet 0.0.1 does not install
on Python 3.11), as `bench/published/Dockerfile` has it. It extracts and copies the files to the workspace; this project's image
also asks each source and Delta first, starts the conversion, waits for it and verifies. CPU is what the kernel counted for all
processes of the container; the engine, the sources and the workspace are not in it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from bench.figures import Figure, report
from sandbox import launch

sys.path.insert(0, str(launch.ROOT / "tests/container"))
from container_engine import BASE, DOCKER, Engine, engine

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
OURS, PUBLISHED = "lighthouse-ingestion-pipeline:bench", "published:bench"
CERTIFICATE = "/run/server.pem"
GROUPS = Path("/sys/fs/cgroup")


@dataclass
class Ran:
    """One container: seconds of CPU and wall, and both from the command to the first row that is in a file of `output`."""

    cpu: float
    wall: float
    first_row: float
    first_row_cpu: float


def main() -> None:
    """Both builds, then runs of ours (medians) and one of the published stack, which takes minutes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, launch.sandbox(Path(name) / "sandbox") as services:
        folder = Path(name)
        certificate = folder / "server.pem"
        shutil.copy(services.environment["TAP_MSSQL_SERVER_CERTIFICATE"], certificate)
        certificate.chmod(0o644)
        variables = {**services.environment, "TAP_MSSQL_SERVER_CERTIFICATE": CERTIFICATE}
        proxied = {
            "SANDBOX_PROXY": variables["DATABRICKS_HOST"],
            "DATABRICKS_HOST": "http://workspace.invalid",
        }
        with engine(made(folder / "engine")) as up:
            seconds = {
                tag: up.build(copied(source, folder / source.name), tag, folder / f"{source.name}.log")
                for tag, source in ((OURS, launch.ROOT), (PUBLISHED, launch.ROOT / "bench/published"))
            }
            base, own, other = (int(up.must("image", "inspect", "-f", "{{.Size}}", tag)) / 1e6 for tag in (BASE, OURS, PUBLISHED))
            runs = []
            for number in range(RUNS):
                places = {"LAKEHOUSE_STAGE": f"dbfs:/{number}/stage", "LAKEHOUSE_TARGET": f"dbfs:/{number}/delta"}
                runs.append(run(up, OURS, folder / f"ours-{number}", variables | places, staged_part))
            published = run(up, PUBLISHED, folder / "published-run", variables | proxied, written_line)
    cpu, wall, first, first_cpu = (
        statistics.median(getattr(each, what) for each in runs) for what in ("cpu", "wall", "first_row", "first_row_cpu")
    )
    figures = [
        Figure("container.own_mb", own - base, 300),
        Figure("published.own_mb", other - base),
        Figure("container.own_mb_against_published", (own - base) / (other - base), 0.6),
        Figure("container.first_row_seconds", first, 10),
        Figure("published.first_row_seconds", published.first_row),
        Figure("container.first_row_against_published", first / published.first_row, 0.5),
        Figure("container.first_row_cpu_seconds", first_cpu),
        Figure("published.first_row_cpu_seconds", published.first_row_cpu),
        Figure("container.cpu_seconds", cpu),
        Figure("published.cpu_seconds", published.cpu),
        Figure("container.cpu_against_published", cpu / published.cpu, 0.12),
        Figure("container.wall_seconds", wall),
        Figure("published.wall_seconds", published.wall),
        Figure("container.build_seconds", seconds[OURS]),
        Figure("published.build_seconds", seconds[PUBLISHED]),
    ]
    raw = {"ours": [vars(each) for each in runs], "published": vars(published), "base_mb": base}
    report("container", figures, raw)


def made(folder: Path) -> Path:
    """A new folder."""
    folder.mkdir()
    return folder


def copied(source: Path, folder: Path) -> Path:
    """What git knows of a folder: the context of a build, without what other benchmarks left there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=source, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    return folder


def staged_part(output: Path) -> bool:
    """Whether a part with a row is where it is staged."""
    parts = [each for each in output.glob("docker_elt/*/*/*.parquet") if not each.name.startswith(".")]
    return any(pq.read_metadata(each).num_rows for each in parts)


def written_line(output: Path) -> bool:
    """Whether a line is in any file of target-jsonl."""
    return any(each.stat().st_size for each in output.glob("*.jsonl"))


def run(up: Engine, tag: str, folder: Path, variables: dict[str, str], has_row: Callable[[Path], bool]) -> Ran:
    """One container to its end, its output in a folder here, looked into until a row is there."""
    output, env = folder / "output", folder / "env"
    output.mkdir(parents=True)
    output.chmod(0o777)
    env.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    env.chmod(0o600)
    group = f"lighthouse-bench-{os.getpid()}-{folder.name}"
    command = [DOCKER, "run", "--rm", "--network", "host", "--cgroup-parent", f"/{group}", "--env-file", str(env)]
    command += ["-v", f"{folder.parent}/server.pem:{CERTIFICATE}:ro", "-v", f"{output}:/project/output", tag]
    log, first, first_cpu, begin = folder / "log", None, 0.0, time.monotonic()
    with log.open("w") as said:
        process = subprocess.Popen(
            command, env={**os.environ, "DOCKER_HOST": up.host}, stdout=said, stderr=said, stdin=subprocess.DEVNULL
        )
        while _runs(process):
            if first is None and has_row(output):
                first, first_cpu = time.monotonic() - begin, spent(group)
    wall = time.monotonic() - begin
    if process.returncode or first is None:
        sys.exit(f"bench: {tag} ended with exit {process.returncode}:\n{log.read_text()[-4000:]}")
    whole = Ran(spent(group), wall, first, first_cpu)
    for each in (GROUPS / group, *GROUPS.glob(f"*/{group}")):
        if each.is_dir():
            each.rmdir()
    return whole


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Waits a moment for its end."""
    try:
        process.wait(0.05)
    except subprocess.TimeoutExpired:
        return True
    return False


def spent(group: str) -> float:
    """CPU seconds of a control group so far, and of what was in it, of either version."""
    old, new = GROUPS / "cpuacct" / group, GROUPS / group
    if old.is_dir():
        return int((old / "cpuacct.usage").read_text()) / 1e9
    return int((new / "cpu.stat").read_text().split()[1]) / 1e6


if __name__ == "__main__":
    main()
