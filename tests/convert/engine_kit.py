"""Runs the conversion job on an engine that stays between runs: Sail, and real Spark with Delta; or kills it on the way."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from lakehouse_kit import ROOT, Made, fits

from lakehouse.job_file import joined

OLDER = os.environ.get("LIGHTHOUSE_SPARK", "")  # 3.4 or 3.5 in place of the newest Spark
ALL_ON_SPARK = bool(OLDER or os.environ.get("LIGHTHOUSE_ALL_ON_SPARK"))  # takes many minutes more, and is run before a release
SPARK = f"spark-{OLDER}" if OLDER else "spark"
SAIL_FIRST = ["sail", *([pytest.param("spark", marks=pytest.mark.spark)] if ALL_ON_SPARK else [])]  # of a test without stories
PYTHONS = {"sail": ROOT / ".venvs/sandbox/bin/python", "spark": ROOT / f".venvs/{SPARK}/bin/python"}
CLIENT = PYTHONS["sail"]  # has a Spark Connect client, which reaches either engine


class Engine:
    """One engine, until `stop`; `as_shipped`: with its own settings, not those for tests of a few rows."""

    def __init__(self, kind: str, folder: Path, as_shipped: bool = False) -> None:
        self.kind = kind
        self.folder = folder
        self.warehouse = folder / "warehouse"
        script = str(ROOT / "tests/convert/spark/engine.py")
        self._log = (folder / "engine.log").open("w")
        command = [str(PYTHONS[kind]), script, kind, str(self.warehouse), *(["as-shipped"] if as_shipped else [])]
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.remote = self._hear()["remote"]
        self.job = folder / "job.py"
        self.job.write_text(joined())

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.folder / "engine.log").read_text()[-3000:]
        return dict(json.loads(line))

    @property
    def clusters(self) -> bool:
        """Whether it knows liquid clustering (Delta 3.1 and later); Sail does not."""
        return self.kind == "spark" and OLDER != "3.4"

    @property
    def pid(self) -> int:
        """Of the process in which jobs, and Sail or Spark's driver, run."""
        return self._process.pid

    def run(self, arguments: list[str], script: Path | None = None, **environment: str) -> tuple[int, str]:
        """Exit code and what was printed by the job, or by another script."""
        assert self._process.stdin is not None
        asked = {"job": str(script or self.job), "arguments": arguments, "environment": environment}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = self._hear()
        return int(told["code"]), str(told["printed"])

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()


@dataclass
class Lake:
    """A stage and a target of their own on an engine. `output` is the stage: loads are made where they lie."""

    engine: Engine
    folder: Path
    by_name: bool = False
    loads: list[Made] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage.mkdir(parents=True, exist_ok=True)

    @property
    def stage(self) -> Path:
        return self.folder / "stage"

    @property
    def schema(self) -> str:
        return "t" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:10]

    @property
    def tables(self) -> Path:
        return self.engine.warehouse / f"{self.schema}.db" if self.by_name else self.folder / "delta"

    @property
    def target(self) -> str:
        return self.schema if self.by_name else str(self.tables)

    def order(self, loads: list[Made], again: tuple[str, ...] = (), staged: list[str] | None = None, **more: Any) -> list[str]:
        """The arguments of a run over loads; `more` is what else the order says."""
        told = ("load_id", "source", "stream", "table", "mode", "rows", "source_rows")
        wanted = [
            {
                "manifest": str(load.path.relative_to(self.stage)),
                "sha256": hashlib.sha256(load.path.read_bytes()).hexdigest(),
                "again": load.load_id in again,
                **{name: load.manifest[name] for name in told},
            }
            for load in loads
        ]
        known = [load.load_id for load in loads] if staged is None else staged
        order = json.dumps({"target": self.target, "staged": known, "loads": wanted, **more}).encode()
        digest = hashlib.sha256(order).hexdigest()
        self.stage.joinpath(f"{digest[:12]}.json").write_bytes(order)
        options = ["--stage", str(self.stage), "--target", self.target, "--order", f"{digest[:12]}.json"]
        return [*options, "--order-sha256", digest]

    def run(self, *loads: Made, code: int = 0, again: tuple[str, ...] = (), **more: str) -> dict[str, Any]:
        """Applies loads; returns the document published, its loads by id. `more` sets variables."""
        found, printed = self.engine.run(self.order(list(loads), again), **more)
        assert found == code, printed[-4000:]
        return self.published()

    def published(self) -> dict[str, Any]:
        folders = sorted(self.stage.joinpath("_published").iterdir(), reverse=True)
        for folder in folders:
            for file in folder.iterdir():
                if file.stat().st_size and not file.name.startswith(("_", ".")):
                    document = fits("published-document", json.loads(file.read_text()))
                    return document | {"loads": {load["load_id"]: load for load in document["loads"]}}
        raise AssertionError("nothing was published")

    def statuses(self, *loads: Made) -> list[str]:
        """What was published of loads."""
        known = self.published()["loads"]
        return [known[load.load_id]["status"] if load.load_id in known else "absent" for load in loads]

    def rows(self, table: str, *names: str) -> list[tuple[Any, ...]]:
        """A table's rows by delta-rs, sorted; [] where there is no table."""
        if not (self.tables / table / "_delta_log").exists():
            return []
        found = DeltaTable(str(self.tables / table)).to_pyarrow_table(columns=list(names) or None)
        return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True), key=str)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The ledger's rows by load id; each fits its schema, and there is one per load."""
        rows = DeltaTable(str(self.tables / "_loads")).to_pyarrow_table().to_pylist()
        for row in rows:
            fits("ledger-row", row | {"committed_at": row["committed_at"].isoformat()})
        found = {row["load_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found
