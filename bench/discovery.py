"""Discovery in a database of 5,000 tables: of one that `streams` names, and of all, from no connection to their description."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import Figure, report
from sandbox import launch
from tap_mssql.config.settings import parse
from tap_mssql.server.libraries import load_libraries
from tap_mssql.singer.run import Run

TABLES = 5_000
COLUMNS = 10
RUNS = 9
SECONDS = 1.0  # for one of them
START_SECONDS = 600  # of a server with so many tables


def main() -> None:
    """Serves the tables, discovers them RUNS times each way, reports."""
    load_libraries()
    with tempfile.TemporaryDirectory(prefix="bench-discovery-") as name:
        file = Path(name) / "table.parquet"
        pq.write_table(pa.table({f"c{n}": pa.array([n], pa.int32()) for n in range(COLUMNS)}), file)
        options = [word for n in range(TABLES) for word in ("--parquet", f"dbo.Table{n}={file}:c0")]
        with launch.counterpart(
            "sqlserver", Path(name) / "server", "--only-parquet", *options, start_seconds=START_SECONDS
        ) as server:
            one = [discovered(server, ["dbo.Table4711"], 1) for _ in range(RUNS)]
            every = [discovered(server, [], TABLES) for _ in range(RUNS)]
    figures = [
        Figure("discovery.one_of_5000_seconds", statistics.median(one), SECONDS),
        Figure("discovery.all_5000_seconds", statistics.median(every)),
    ]
    report("discovery", figures, {"one": one, "every": every, "columns": COLUMNS})


def discovered(server: launch.Counterpart, streams: list[str], expected: int) -> float:
    """Seconds that it takes to know the tables of these patterns."""
    settings = parse(
        {
            "host": "127.0.0.1", "port": server.facts["port"], "database": server.facts["database"], "user": "reader",
            "password": server.secret, "server_certificate": server.facts["ca_file"], "streams": streams,
        }
    )  # fmt: skip
    began = time.monotonic()
    found = Run(settings, None).tables
    seconds = time.monotonic() - began
    assert len(found) == expected and all(len(table.columns) == COLUMNS for table in found)
    return seconds


if __name__ == "__main__":
    main()
