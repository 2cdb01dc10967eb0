"""Seeded runs of tap-mssql over links that break at random bytes: rows lost or doubled by a run that ended with exit 0."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import Figure
from sandbox import launch
from sandbox.proxy import Break, planned, proxy

RUNS = int(os.environ.get("BENCH_FAULT_RUNS", "200"))
ROWS, STREAMS = 12_000, ("big-Keyed", "big-Bare")
TAP = launch.ROOT / ".meltano/extractors/tap-mssql/venv/bin/tap-mssql"
WHOLE = Break(1 << 62)  # the first connection discovers


def main() -> list[Figure]:
    """The sum over all runs, and how many ended right; each run's seed is its number."""
    wrong = ended = broken = 0
    with tempfile.TemporaryDirectory(prefix="bench-faults-") as name:
        folder = Path(name)
        table = pa.table({"id": pa.array(range(ROWS), pa.int32()), "t": [f"row {n} ação" for n in range(ROWS)]})
        pq.write_table(table, folder / "rows.parquet")
        options = ["--only-parquet", "--parquet", f"big.Keyed={folder / 'rows.parquet'}:id"]
        options += ["--parquet", f"big.Bare={folder / 'rows.parquet'}"]
        with launch.counterpart("sqlserver", folder / "server", *options) as server:
            for seed in range(RUNS):
                with proxy(int(server.facts["port"]), [WHOLE, *planned(seed, 16, 400_000)]) as between:
                    code, found = _run(server, between.port, folder / f"run-{seed}")
                broken += between.broken
                ended += code == 0
                # A run that fails may leave streams out, never tell one short.
                wrong += sum(_wrong(found.get(s, [] if code == 0 else None)) for s in STREAMS)
    return [
        Figure("faults.runs", RUNS),
        Figure("faults.links_broken", broken),
        Figure("faults.runs_ended_right", ended),
        Figure("faults.rows_lost_or_doubled", wrong, 0),
    ]


def _run(server: launch.Counterpart, port: int, folder: Path) -> tuple[int, dict[str, list[int]]]:
    """The tap's exit code, and the ids of every stream that it told whole."""
    folder.mkdir()
    encoding = {"format": "parquet", "compression": "zstd"}
    config: dict[str, Any] = {
        "host": "127.0.0.1", "port": port, "user": "reader", "password": server.secret, "database": server.facts["database"],
        "server_certificate": server.facts["ca_file"], "range_rows": 3_000, "retry_seconds": 60,
        "batch_config": {"encoding": encoding, "storage": {"root": (folder / "spool").as_uri()}},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    done = subprocess.run([str(TAP), "--config", str(folder / "config.json")], capture_output=True, text=True, check=False)
    found: dict[str, list[int]] = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "BATCH":
            parts = [unquote(urlparse(uri).path) for uri in message["manifest"]]
            found[message["stream"]] = [i for p in parts for i in pq.read_table(p, columns=["id"])["id"].to_pylist()]
    return done.returncode, found


def _wrong(ids: list[int] | None) -> int:
    """Rows missing, and rows there more than once; 0 for a stream that was not told."""
    return 0 if ids is None else ROWS - len(set(ids)) + len(ids) - len(set(ids))
