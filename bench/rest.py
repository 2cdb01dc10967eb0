"""tap-rest-api-msdk beside the published tap 1.4.2, on the same server in the same run: CPU, distance, RECORD output, memory.

Each round runs both once in each situation, so that a busy machine slows both. Memory is the kernel's high-water mark (VmHWM),
libraries included, in runs of its own: a look at a process now and then would miss the peak of a short run, and find that of a
long one. All of it takes 6 minutes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench import measure
from bench.figures import Figure, report
from bench.measure import Measured
from sandbox import launch
from sandbox.launch import ROOT, Counterpart

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
MEMORY_RUNS = min(RUNS, 3)
OURS = ROOT / ".meltano/extractors/tap-rest-api-msdk/venv/bin/tap-rest-api-msdk"
PUBLISHED = ROOT / ".venvs/published/bin/tap-rest-api-msdk"
LATENCY_MS = 50
LARGE = 12.1  # of the tables' size: 2 M records
PEAK_MB, GROWTH = 150.0, 1.1


@dataclass(frozen=True)
class Situation:
    """How the tables are read: records per page, from how far away, into what; and what ours may cost of the published tap's.

    `parallel` is max_parallel_pages, 0 for the default. `peer` names the situation that the published tap is read in beside this
    one, where it has no such choice; empty for the same.
    """

    page: int
    latency_ms: int = 0
    batch: bool = True
    cost: str = "cpu"
    at_most: float | None = None
    parallel: int = 0
    peer: str = ""


SITUATIONS = {
    "5000_a_page": Situation(5_000, at_most=0.06),
    "100_a_page": Situation(100, at_most=0.15),
    "50_ms_away": Situation(1_000, LATENCY_MS, cost="wall", at_most=0.08),
    "50_ms_away_12_pages_at_once": Situation(1_000, LATENCY_MS, cost="wall", parallel=12, peer="50_ms_away"),
    "as_records": Situation(5_000, batch=False, at_most=0.2, peer="5000_a_page"),
}


@dataclass
class Series:
    """The runs of one tap in one situation."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)

    def of(self, cost: str) -> float:
        """The median of a cost, in seconds."""
        return statistics.median(self.cpu if cost == "cpu" else self.wall)


def main() -> None:
    """Measures, prints and keeps the numbers."""
    runs: dict[str, Series] = {}
    with tempfile.TemporaryDirectory(prefix="bench-rest-") as name:
        folder = Path(name)
        with (
            launch.counterpart("api", folder / "near") as near,
            launch.counterpart("api", folder / "far", "--latency-ms", str(LATENCY_MS)) as far,
        ):
            _times(runs, near, far, folder)
            _memory(runs, "165k", near, folder)
        with launch.counterpart("api", folder / "large", "--scale", str(LARGE), start_seconds=600) as large:
            _memory(runs, "2m", large, folder)
    report("rest", figures(runs), {name: vars(series) for name, series in runs.items()})


def _times(runs: dict[str, Series], near: Counterpart, far: Counterpart, folder: Path) -> None:
    for _ in range(RUNS):
        for name, situation in SITUATIONS.items():
            server = far if situation.latency_ms else near
            _run(runs, f"ours.{name}", OURS, _config("meltano.yml", server, situation), server, folder)
            if not situation.peer:
                config = _config("bench/published/meltano.yml", server, situation)
                _run(runs, f"published.{name}", PUBLISHED, config, server, folder)


def _memory(runs: dict[str, Series], size: str, server: Counterpart, folder: Path) -> None:
    situation = SITUATIONS["5000_a_page"]
    for _ in range(MEMORY_RUNS):
        _run(runs, f"ours.{size}", OURS, _config("meltano.yml", server, situation), server, folder, memory=True)


def _config(project: str, server: Counterpart, situation: Situation) -> dict[str, Any]:
    """What a meltano.yml says of the tap, for this server and page size."""
    plugins = yaml.safe_load((ROOT / project).read_text())["plugins"]["extractors"]
    config = dict(next(plugin for plugin in plugins if plugin["name"] == "tap-rest-api-msdk")["config"])
    config.pop("batch_config", None)
    return {
        **config,
        "api_url": server.facts["url"],
        "username": "reader",
        "password": server.secret,
        "pagination_page_size": situation.page,
        "batch": situation.batch and project == "meltano.yml",
        **({"max_parallel_pages": situation.parallel} if situation.parallel else {}),
    }


def _run(
    runs: dict[str, Series],
    name: str,
    tap: Path,
    config: Mapping[str, Any],
    server: Counterpart,
    folder: Path,
    memory: bool = False,
) -> None:
    """Runs a tap once; ends the benchmark where it fails or delivers another number of records than the server has."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        here = Path(place)
        given = dict(config)
        if given.pop("batch"):
            encoding = {"format": "parquet", "compression": "zstd"}
            given["batch_config"] = {"encoding": encoding, "storage": {"root": (here / "spool").as_uri()}}
        (here / "config.json").write_text(json.dumps(given))
        command = ["bash", "-c", 'exec "$0" --config config.json >out.jsonl', str(tap)]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": place}
        measured = measure.run(command, here, environment, memory)
        delivered = _delivered(here, measured)
    wanted = _held(server)
    if delivered != wanted:
        sys.exit(f"bench: {name} delivered {delivered:,} of {wanted:,} records\n{measured.output[-4000:]}")
    series = runs.setdefault(name, Series())
    if memory:
        series.peak_mb.append(measured.peak[OURS.name])
    else:
        series.cpu.append(measured.cpu)
        series.wall.append(measured.wall)
    sys.stderr.write(
        f"bench: {name}: {measured.cpu:.2f} CPU s, {measured.wall:.1f} s, {max(measured.peak.values(), default=0):.0f} MB\n"
    )


def _delivered(folder: Path, measured: Measured) -> int:
    """The records that a run left: in parts that a load document names, or as RECORD messages."""
    if measured.status:
        return -1
    loads = [json.loads(path.read_text())["rows"] for path in folder.glob("spool/*/*.load.json")]
    with (folder / "out.jsonl").open("rb") as lines:
        return sum(loads) + sum(b'"RECORD"' in line[:40] for line in lines)


def _held(server: Counterpart) -> int:
    """The records of all tables of a server."""
    with urllib.request.urlopen(f"{server.facts['url']}/health") as answer:
        return sum(json.load(answer)["tables"].values())


def figures(runs: Mapping[str, Series]) -> list[Figure]:
    """Ours against the published tap, and memory at both sizes."""
    found = []
    for name, situation in SITUATIONS.items():
        ours, peer = runs[f"ours.{name}"], runs[f"published.{situation.peer or name}"]
        ratio = ours.of(situation.cost) / peer.of(situation.cost)
        found += [
            Figure(f"rest.{name}.{situation.cost}_seconds", ours.of(situation.cost)),
            Figure(f"rest.{name}.published_{situation.cost}_seconds", peer.of(situation.cost)),
            Figure(f"rest.{name}.{situation.cost}_against_published", ratio, situation.at_most),
        ]
    small, large = (statistics.median(runs[f"ours.{size}"].peak_mb) for size in ("165k", "2m"))
    return [
        *found,
        Figure("rest.165k.peak_mb", max(runs["ours.165k"].peak_mb), PEAK_MB),
        Figure("rest.2m.peak_mb", max(runs["ours.2m"].peak_mb), PEAK_MB),
        Figure("rest.peak_of_2m_against_165k", large / small, GROWTH),
        Figure("rest.peak_of_165k_against_2m", small / large, GROWTH),
    ]


if __name__ == "__main__":
    main()
