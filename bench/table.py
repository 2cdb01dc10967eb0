"""The tables of docs/benchmarks.md, from the raw numbers of a run: python -m bench.table rewrites them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from bench.data import SIZES
from bench.figures import RESULTS
from sandbox.launch import ROOT

DOCUMENT = ROOT / "docs/benchmarks.md"
ALONE = ("rest", "changes", "idle", "container", "discovery", "lakehouse")  # benchmarks whose table is their figures
NAMES = {
    "ours": "**tap-mssql + target-parquet**",
    "bare": "bare driver + bare Parquet",
    "rivet": "rivet",
    "connectorx": "connectorx",
    "published": "published tap-mssql + target-jsonl",
}


def programs(document: dict[str, Any]) -> str:
    """One row per table, size and program: medians of CPU and wall seconds, the greatest memory."""
    lines = [
        "| table | rows | program | runs | CPU s | ours in it | rows per CPU s | wall s | peak MB |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    runs = document["raw"]["runs"]
    ours = {(run["data"], run["size"]): statistics.median(run["cpu"]) for run in runs if run["program"] == "ours" and run["cpu"]}
    for run in runs:
        rows, name = SIZES[run["size"]], NAMES[run["program"]]
        if run["void"] or not run["cpu"]:
            lines.append(f"| {run['data']} | {rows:,} | {name} | void: {run['void']} | | | | | |")
            continue
        cpu, wall = statistics.median(run["cpu"]), statistics.median(run["wall"])
        own = ours.get((run["data"], run["size"]))
        share = "" if own is None or run["program"] == "ours" else f"{own / cpu:.2f}×"
        lines.append(
            f"| {run['data']} | {rows:,} | {name} | {len(run['cpu'])} | {cpu:.2f} | {share} | {rows / cpu:,.0f} | {wall:.1f} "
            f"| {format(max(run['peak_mb']), '.0f') if run['peak_mb'] else ''} |"
        )
    return "\n".join(lines)


def bounds(document: dict[str, Any], whole: bool = False) -> str:
    """One row per figure that has a bound, and per comparison without one; with `whole` one per figure."""
    lines = ["| figure | value | at most | |", "|---|---:|---:|---|"]
    for figure in document["figures"]:
        value = "void" if figure["void"] or figure["value"] is None else f"{figure['value']:.3g}"
        if figure["at_most"] is not None:
            lines.append(f"| `{figure['name']}` | {value} | {figure['at_most']:g} | {'ok' if figure['ok'] else 'short'} |")
        elif "_against_" in figure["name"] or whole:
            lines.append(f"| `{figure['name']}` | {value} | | |")
    return "\n".join(lines)


def filled(text: str, results: Path = RESULTS) -> str:
    """A document's text with the tables between its marks renewed from the results of the benchmarks."""
    read = {name: json.loads((results / f"{name}.json").read_text()) for name in ("mssql", *ALONE)}
    tables = {
        "programs": programs(read["mssql"]),
        "bounds": bounds(read["mssql"]),
        **{name: bounds(read[name], whole=name in ("container", "discovery")) for name in ALONE},
    }
    for name, table in tables.items():
        before, mark, rest_of_it = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest_of_it.partition(f"<!-- /{name} -->")
        text = f"{before}{mark}{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))
