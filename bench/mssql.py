"""tap-mssql piped into target-parquet beside its peers, on the same tables of the same server in the same run.

A round runs one program after the other, so that a busy machine is busy for all of them. Ours and the bare driver run BENCH_RUNS
(5) rounds; slower peers fewer where there are more rows (ROUNDS). Figures are medians of CPU seconds (user + system) of the whole
process tree of the client. Memory is measured in MEMORY_ROUNDS of their own, since that takes time of what is measured. A program
that fails or writes another number of rows than the table has makes its figures void. The rows that the server looks at are
counted at the end, on a server of its own. All of it takes 40 minutes;
BENCH_TABLES=lineitem (or wide) measures one table again, beside its peers, and keeps what the results hold of the rest.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import data, faults, measure, sql
from bench.data import Table
from bench.figures import RESULTS, Figure, report
from bench.peers import programs
from bench.peers.programs import Program
from sandbox import launch

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
PROGRAMS: Mapping[str, Program] = {
    "ours": programs.ours,
    "bare": programs.bare,
    "rivet": programs.rivet,
    "connectorx": programs.connectorx,
    "published": programs.published,
}
ONLY = os.environ.get("BENCH_TABLES", "").split()
FEWER = min(RUNS, 3)
ROUNDS = {
    "1m": {"ours": RUNS, "bare": RUNS, "rivet": RUNS, "connectorx": RUNS, "published": 1},
    "10m": {"ours": RUNS, "bare": RUNS, "rivet": FEWER, "connectorx": 1},
}
MEMORY_ROUNDS = {"ours": FEWER, "bare": 1, "rivet": 1, "connectorx": 1, "published": 0}
BOUNDS = {"bare": 1.10, "rivet": 0.75, "published": 0.05}
WALL_AGAINST_BARE = 1.10
LOOKED_AT = 1.3  # rows that the server looks at for each one that it delivers
TOTAL_MB = 250
GROWTH = 1.1
LOAD_SECONDS = 600  # 22 M rows, once


@dataclass
class Series:
    """The runs of one program on one table: CPU and wall in seconds, memory in MB; `void` says what was wrong with one."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    void: str = ""

    @property
    def seconds(self) -> float | None:
        """Median CPU seconds; None without runs."""
        return statistics.median(self.cpu) if self.cpu else None

    @property
    def wall_seconds(self) -> float | None:
        """Median seconds on the clock; None without runs."""
        return statistics.median(self.wall) if self.wall else None


Results = dict[tuple[str, str, str], Series]  # by data, size, program


def main() -> None:
    """Makes the data, serves it, runs the plan, reports."""
    tables = [table for table in data.tables() if table.data in (ONLY or [table.data])]
    options = [word for table in tables for word in ("--parquet", table.option)]
    folder = data.CACHE / "sqlserver"
    with launch.counterpart("sqlserver", folder, "--only-parquet", *options, start_seconds=LOAD_SECONDS) as server:
        results = run_plan(tables, server)
    # Counting takes time of what is measured: on a server of its own.
    with launch.counterpart(
        "sqlserver", folder, "--only-parquet", "--count-rows", *options, start_seconds=LOAD_SECONDS
    ) as server:
        looked_at = [_looked_at(table, server) for table in tables]
    if ONLY:
        kept = _kept()
        results = {key: results.get(key, series) for key, series in kept.items()} | results
        looked_at += [each for each in _kept_figures(".looked_at") if each.name not in {new.name for new in looked_at}]
    others = _kept_figures("faults.") if ONLY else faults.main()
    report("mssql", [*figures(results), *looked_at, *others], {"runs": _raw(results), "rounds": ROUNDS})


def _looked_at(table: Table, server: launch.Counterpart) -> Figure:
    """Rows that the server looked at while ours read a table, for each of its rows."""
    before, series = sql.rows_looked_at(server), Series()
    _run(programs.ours, table, server, series, memory=False)
    return Figure(f"{table.name}.looked_at_per_row", (sql.rows_looked_at(server) - before) / table.rows, LOOKED_AT, series.void)


def _kept() -> Results:
    """The series that the last results hold."""
    runs = json.loads((RESULTS / "mssql.json").read_text())["raw"]["runs"]
    return {(r["data"], r["size"], r["program"]): Series(r["cpu"], r["wall"], r["peak_mb"], r["void"]) for r in runs}


def _kept_figures(part: str) -> list[Figure]:
    """The figures with that in their names that the last results hold."""
    found = json.loads((RESULTS / "mssql.json").read_text())["figures"]
    return [Figure(f["name"], f["value"], f["at_most"], f["void"]) for f in found if part in f["name"]]


def run_plan(tables: list[Table], server: launch.Counterpart) -> Results:
    """Every program on every table, round by round: first for time, then for memory."""
    results: Results = {}
    for table in tables:
        rounds = ROUNDS[table.size]
        for name, memory in [*_in_rounds(rounds, False), *_in_rounds({n: MEMORY_ROUNDS[n] for n in rounds}, True)]:
            series = results.setdefault((table.data, table.size, name), Series())
            said = _run(PROGRAMS[name], table, server, series, memory)
            sys.stderr.write(f"bench: {table.name} {name}: {said}\n")
    return results


def _in_rounds(rounds: Mapping[str, int], memory: bool) -> list[tuple[str, bool]]:
    return [(name, memory) for number in range(max(rounds.values())) for name, times in rounds.items() if number < times]


def _run(program: Program, table: Table, server: launch.Counterpart, series: Series, memory: bool) -> str:
    """Runs it once and adds to its series; says in words what came out."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=data.CACHE) as name:
        folder = Path(name)
        env = {**environment(server), "HOME": str(folder)}
        try:
            run = program(table, folder, env)
        except programs.NotPrepared as error:
            series.void = str(error)
            return series.void
        measured = measure.run(run.command, folder, env, memory)
        if measured.status:
            series.void = f"exit {measured.status}"
            return f"{series.void}\n{measured.output[-2000:]}"
        rows = run.rows(folder)
    if rows != table.rows:
        series.void = f"wrote {rows:,} of {table.rows:,} rows"
    if memory:
        series.peak_mb.append(measured.total)
        return f"{measured.total:.0f} MB {series.void}"
    series.cpu.append(measured.cpu)
    series.wall.append(measured.wall)
    return f"{measured.cpu:.2f} CPU s {series.void}"


def environment(server: launch.Counterpart) -> dict[str, str]:
    """Of every program. The driver's system libraries are where scripts/setup put them, on a machine that lacks them."""
    libraries = launch.ROOT / ".cache/driver-libraries"
    return {
        **({"LD_LIBRARY_PATH": str(libraries)} if libraries.is_dir() else {}),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TAP_MSSQL_HOST": "127.0.0.1",
        "TAP_MSSQL_PORT": str(server.facts["port"]),
        "TAP_MSSQL_USER": "reader",
        "TAP_MSSQL_PASSWORD": server.secret,
        "TAP_MSSQL_DATABASE": str(server.facts["database"]),
        "TAP_MSSQL_SERVER_CERTIFICATE": str(server.facts["ca_file"]),
    }


def figures(results: Results) -> list[Figure]:
    """CPU seconds of each program, ours against each peer, and memory."""
    return [*_seconds(results), *_ratios(results), *_memory(results)]


def _seconds(results: Results) -> list[Figure]:
    return [
        Figure(f"{kind}_{size}.{name}.cpu_seconds", series.seconds, void=series.void)
        for (kind, size, name), series in results.items()
    ]


def _ratios(results: Results) -> list[Figure]:
    found = []
    for (kind, size, name), peer in results.items():
        if name in BOUNDS:
            ours = results[kind, size, "ours"]
            void = "; ".join(f"{who}: {s.void}" for who, s in (("ours", ours), (name, peer)) if s.void)
            found.append(Figure(f"{kind}_{size}.cpu_against_{name}", _ratio(ours.seconds, peer.seconds), BOUNDS[name], void))
            if name == "bare":
                ratio = _ratio(ours.wall_seconds, peer.wall_seconds)
                found.append(Figure(f"{kind}_{size}.wall_against_bare", ratio, WALL_AGAINST_BARE, void))
    return found


def _memory(results: Results) -> list[Figure]:
    found = []
    for kind in sorted({kind for kind, _, _ in results}):
        ours = {size: results[kind, size, "ours"] for size in ROUNDS}
        for size, series in ours.items():
            found.append(Figure(f"{kind}_{size}.ours.peak_mb", max(series.peak_mb, default=None), TOTAL_MB, series.void))
        medians = {size: statistics.median(series.peak_mb) if series.peak_mb else None for size, series in ours.items()}
        void = "; ".join(series.void for series in ours.values() if series.void)
        found.append(Figure(f"{kind}.peak_of_10m_against_1m", _ratio(medians["10m"], medians["1m"]), GROWTH, void))
    return found


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _raw(results: Results) -> list[dict[str, Any]]:
    return [{"data": kind, "size": size, "program": name, **vars(series)} for (kind, size, name), series in results.items()]


if __name__ == "__main__":
    main()
