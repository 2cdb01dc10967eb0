"""Upload of 2 GB in 200 files to a workspace 20 ms away, beside databricks-sdk's own parallel upload; memory with 128 MiB parts.

Memory is looked at in runs of its own: the kernel walks a process's pages for it, which is paid for by what is measured.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import measure
from bench.figures import Figure, report
from bench.measure import Measured
from sandbox import launch
from sandbox.launch import ROOT
from singer_arrow import documents, names
from singer_arrow.documents import Manifest, PartFile

LATENCY_MS = "20"
MANY = (200, 10 << 20)  # files, and bytes of each
LARGE = (4, 128 << 20)
STAGES = {"dbfs": "dbfs:/lighthouse/stage", "volume": "/Volumes/main/lighthouse/stage"}
PROGRAMS = ROOT / ".meltano/utilities/lakehouse/venv/bin"
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
LOAD_ID = "20261124T161224Z-0a1b2c3d4e5f"


def figures() -> list[Figure]:
    """Measures; the slower of the two stages counts, and the larger of the two memories."""
    return _figures(_measured())


def main() -> None:
    """Measures, prints and keeps the numbers."""
    measured = _measured()
    raw = {name: [{"cpu": m.cpu, "wall": m.wall, "total_mb": m.total} for m in runs] for name, runs in measured.items()}
    report("upload", _figures(measured), raw)


def _figures(measured: dict[str, list[Measured]]) -> list[Figure]:
    wall = {name: statistics.median(m.wall for m in runs) for name, runs in measured.items()}
    peak = {stage: max(m.total for m in measured[f"{stage}_large"]) for stage in STAGES}
    return [
        Figure("upload.against_sdk", max(wall[stage] for stage in STAGES) / wall["sdk"], 1.1),
        Figure("upload.client_peak_mb", max(peak.values()), 200.0),
        *(Figure(f"upload.{name}_seconds", wall[name]) for name in ("sdk", *STAGES)),
        *(Figure(f"upload.{stage}_peak_mb", mb) for stage, mb in peak.items()),
        *(Figure(f"upload.{stage}_many_peak_mb", measured[f"{stage}_many"][0].total) for stage in STAGES),
    ]


def _measured() -> dict[str, list[Measured]]:
    """Runs by what they measure, the competitors in turn; every run begins with an empty workspace."""
    found: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-upload-") as name:
        many, large = (_made(Path(name, what), *size) for what, size in (("many", MANY), ("large", LARGE)))
        for _ in range(RUNS):
            found.setdefault("sdk", []).append(_sdk(many))
            for stage in STAGES:
                found.setdefault(stage, []).append(_ours(many, stage))
        for stage in STAGES:
            found[f"{stage}_large"] = [_ours(large, stage, memory=True)]
            found[f"{stage}_many"] = [_ours(many, stage, memory=True)]
    return found


def _made(output: Path, count: int, size: int) -> Path:
    """An output folder with one load of parts that hold noise: nothing opens them before the conversion."""
    folder, noise = output / "sqlserver/Big", os.urandom(size - 8)
    folder.mkdir(parents=True)
    files = []
    for number in range(1, count + 1):
        content = number.to_bytes(8) + noise
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder / names.part_name(LOAD_ID, names.part_number(number), sha256)
        path.write_bytes(content)
        files.append(PartFile(f"Big/{path.name}", 1, size, sha256))
    when = "2026-11-24T16:12:24.000000Z"
    manifest = Manifest(
        load_id=LOAD_ID, run_id="bench", source="sqlserver", stream="Big", table="big", mode="overwrite", key_columns=[],
        cursor=None, schema=[], files=files, rows=count, source_rows=count, columns={}, dead_letters=0, bookmark=None,
        started_at=when, ended_at=when, notes=[],
    )  # fmt: skip
    documents.write(output / "sqlserver" / names.manifest(LOAD_ID), manifest)
    return output


@contextmanager
def _workspace() -> Iterator[dict[str, str]]:
    """The environment of a client of an empty workspace."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-workspace-") as name,
        launch.counterpart("workspace", Path(name), "--latency-ms", LATENCY_MS) as running,
    ):
        without = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        host = f"http://127.0.0.1:{running.facts['port']}"
        yield without | {"DATABRICKS_HOST": host, "DATABRICKS_TOKEN": running.secret}


def _sdk(output: Path) -> Measured:
    with _workspace() as environment:
        command = [str(PROGRAMS / "python"), str(ROOT / "bench/peers/sdk_upload.py"), str(output), STAGES["volume"]]
        return _good(measure.run(command, ROOT, environment, memory=False))


def _ours(output: Path, stage: str, memory: bool = False) -> Measured:
    settings: dict[str, Any] = {"LAKEHOUSE_STAGE": STAGES[stage], "LAKEHOUSE_OUTPUT": str(output)}
    settings["DATABRICKS_CLUSTER_ID"] = "1124-120000-sandbox1"
    with _workspace() as environment:
        return _good(measure.run([str(PROGRAMS / "lakehouse"), "upload"], ROOT, environment | settings, memory))


def _good(measured: Measured) -> Measured:
    if measured.status:
        sys.exit(f"bench: an upload ended with exit {measured.status}:\n{measured.output[-4000:]}")
    return measured


if __name__ == "__main__":
    main()
