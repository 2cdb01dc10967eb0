"""How each peer is run on one table: what is written beforehand (not measured), the command (measured), the rows it wrote."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.data import Table
from sandbox.launch import ROOT

PYTHON = ROOT / ".venvs/bench/bin/python"
PEERS = ROOT / "bench/peers"
TAP, TARGET = (
    ROOT / f".meltano/{kind}/venv/bin/{Path(kind).name}" for kind in ("extractors/tap-mssql", "loaders/target-parquet")
)
PUBLISHED = ROOT / "bench/published/.meltano"
OLD_TAP, OLD_TARGET = (
    PUBLISHED / f"{kind}/venv/bin/{Path(kind).name}" for kind in ("extractors/tap-mssql", "loaders/target-jsonl")
)
BATCH_ROWS = 65_536  # the row groups of the tap's parts

Environment = Mapping[str, str]


class NotPrepared(Exception):
    """A program that fails before it can be measured; the text is its last word."""


@dataclass(frozen=True)
class Run:
    """One run: `command` writes into `folder`; `rows` counts what is there afterwards."""

    command: list[str]
    folder: Path
    rows: Callable[[Path], int]


Program = Callable[[Table, Path, Environment], Run]


def ours(table: Table, folder: Path, env: Environment) -> Run:
    """tap-mssql piped into target-parquet, as Meltano pipes them."""
    batch = {"encoding": {"format": "parquet", "compression": "zstd"}, "storage": {"root": f"file://{folder}/spool"}}
    config = {**_login(env), "server_certificate": env["TAP_MSSQL_SERVER_CERTIFICATE"], "batch_config": batch}
    target = {"destination_path": f"{folder}/out", "source": "sqlserver"}
    return Run(_pipe(TAP, config, TARGET, target, table, folder), folder, parquet_rows)


def log_based(table: Table, folder: Path, env: Environment, state: str = "{}") -> Run:
    """The same of a LOG_BASED stream, from a state on."""
    batch = {"encoding": {"format": "parquet", "compression": "zstd"}, "storage": {"root": f"file://{folder}/spool"}}
    options = [{"pattern": f"{table.schema}.{table.name}", "replication_method": "LOG_BASED"}]
    config = {**_login(env), "server_certificate": env["TAP_MSSQL_SERVER_CERTIFICATE"], "batch_config": batch}
    config["stream_options"] = options
    target = {"destination_path": f"{folder}/out", "source": "sqlserver"}
    (folder / "state.json").write_text(state)
    return Run(_pipe(TAP, config, TARGET, target, table, folder, folder / "state.json"), folder, parquet_rows)


def changes_by_hand(table: Table, folder: Path, version: int) -> Run:
    """The bare driver and the query of Microsoft's documentation into bare Parquet."""
    names = _names(table, folder)
    return Run([str(PYTHON), str(PEERS / "changes_by_hand.py"), *names[:2], str(folder), str(version)], folder, parquet_rows)


def published(table: Table, folder: Path, env: Environment) -> Run:
    """tap-mssql 2.6.5 piped into target-jsonl 0.1.4, each with its defaults."""
    return Run(_pipe(OLD_TAP, _login(env), OLD_TARGET, {"destination_path": f"{folder}"}, table, folder), folder, json_rows)


def bare(table: Table, folder: Path, env: Environment) -> Run:
    """The bare driver into a bare Parquet writer, in row groups as large as the tap's."""
    return Run([str(PYTHON), str(PEERS / "bare.py"), *_names(table, folder), str(BATCH_ROWS)], folder, parquet_rows)


def connectorx(table: Table, folder: Path, env: Environment) -> Run:
    """connectorx into Parquet."""
    return Run([str(PYTHON), str(PEERS / "with_connectorx.py"), *_names(table, folder)], folder, parquet_rows)


def rivet(table: Table, folder: Path, env: Environment) -> Run:
    """rivet's full export with its defaults, but zstd level 1 as the others."""
    config = {
        "source": {
            "type": "mssql",
            "host": env["TAP_MSSQL_HOST"],
            "port": int(env["TAP_MSSQL_PORT"]),
            "user": env["TAP_MSSQL_USER"],
            "password_env": "TAP_MSSQL_PASSWORD",
            "database": env["TAP_MSSQL_DATABASE"],
            "tls": {"mode": "verify-ca", "ca_file": env["TAP_MSSQL_SERVER_CERTIFICATE"]},
        },
        "exports": [
            {
                "name": table.name,
                "table": f"{table.schema}.{table.name}",
                "mode": "full",
                "format": "parquet",
                "compression": "zstd",
                "compression_level": 1,
                "destination": {"type": "local", "path": f"{folder}/out"},
            }
        ],
    }
    (folder / "rivet.yaml").write_text(json.dumps(config))  # JSON is YAML
    return Run([str(PYTHON.with_name("rivet")), "run", "-c", str(folder / "rivet.yaml")], folder, parquet_rows)


def parquet_rows(folder: Path) -> int:
    """Rows of all Parquet files below a folder; a file under two names counts once."""
    files = {path.stat().st_ino: path for path in folder.rglob("*.parquet")}
    return sum(pq.read_metadata(path).num_rows for path in files.values())


def json_rows(folder: Path) -> int:
    """Lines of all JSON Lines files below a folder."""
    rows = 0
    for path in folder.rglob("*.jsonl"):
        with path.open("rb") as file:
            rows += sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
    return rows


def _names(table: Table, folder: Path) -> list[str]:
    return [f"{table.schema}.{table.name}", ",".join(table.key), str(folder / "out.parquet")]


def _login(env: Environment) -> dict[str, Any]:
    return {name: env[f"TAP_MSSQL_{name.upper()}"] for name in ("host", "port", "user", "password", "database")}


def _pipe(
    tap: Path,
    config: dict[str, Any],
    target: Path,
    target_config: dict[str, Any],
    table: Table,
    folder: Path,
    state: Path | None = None,
) -> list[str]:
    _private(folder / "tap.json", config)
    _private(folder / "target.json", target_config)
    _private(folder / "catalog.json", _catalog(tap, folder, table))
    given = f" --state '{state}'" if state else ""
    line = (
        f"'{tap}' --config '{folder}/tap.json' --catalog '{folder}/catalog.json'{given} | "
        f"'{target}' --config '{folder}/target.json' >'{folder}/state.jsonlines'"
    )
    return ["bash", "-o", "pipefail", "-c", line]


def _catalog(tap: Path, folder: Path, table: Table) -> dict[str, Any]:
    """What the tap discovers, with this one table selected. Raises NotPrepared."""
    command = [str(tap), "--config", str(folder / "tap.json"), "--discover"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        raise NotPrepared(f"discovery: exit {found.returncode}, {found.stderr.strip()[-200:]}")
    catalog: dict[str, Any] = json.loads(found.stdout)
    catalog["streams"] = [s for s in catalog["streams"] if s["tap_stream_id"] == f"{table.schema}-{table.name}"]
    for entry in (entry for stream in catalog["streams"] for entry in stream["metadata"] if not entry["breadcrumb"]):
        entry["metadata"].update({"selected": True, "replication-method": "FULL_TABLE"})
    return catalog


def _private(path: Path, document: dict[str, Any]) -> None:
    """Written readable for this user only: it may hold the password."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(document, file)
