"""Jobs as processes of their own, any number at once, that may die; and what stands on a lake, by readers that are no Spark."""

from __future__ import annotations

import json
import subprocess
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_delta  # type: ignore[import-untyped]
from deltalake import DeltaTable
from engine_kit import CLIENT, Engine, Lake
from lakehouse_kit import ROOT

DEAD = 9  # the exit code of a job that a test let die


@dataclass
class Job:
    """A job that was started: its process, and when it has ended its exit code and what it printed."""

    printed: Path
    begun: Future[int] = field(default_factory=Future)
    ended: Future[tuple[int, str]] = field(default_factory=Future)

    @property
    def pid(self) -> int:
        return self.begun.result(60)

    def result(self, seconds: float = 300) -> tuple[int, str]:
        return self.ended.result(seconds)


class Clients:
    """Starts jobs as Spark Connect clients of one engine, each forked from a process that has pyspark imported."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._log = (engine.folder / "clients.log").open("w")
        self._process = subprocess.Popen(
            [str(CLIENT), str(ROOT / "tests/convert/spark/clients.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, arguments: list[str], **environment: str) -> Job:
        """A job; `environment` sets variables."""
        assert self._process.stdin is not None
        with self._lock:
            number = len(self._jobs)
            job = self._jobs[number] = Job(self.engine.folder / f"client-{number}.txt")
            asked = {"number": number, "job": str(self.engine.job), "arguments": arguments, "printed": str(job.printed)}
            variables = {"SPARK_REMOTE": self.engine.remote} | environment
            self._process.stdin.write(json.dumps(asked | {"environment": variables}) + "\n")
            self._process.stdin.flush()
        return job

    def run(self, arguments: list[str], **environment: str) -> tuple[int, str]:
        """Exit code and what was printed, when it has ended."""
        return self.start(arguments, **environment).result()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            job = self._jobs[told["number"]]
            if "pid" in told:
                job.begun.set_result(int(told["pid"]))
            else:
                job.ended.set_result((int(told["code"]), job.printed.read_text(errors="replace")))
        for job in list(self._jobs.values()):
            if not job.ended.done():
                job.ended.set_exception(AssertionError("the process that forks jobs ended"))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()


def let_lease_run_out(lake: Lake) -> None:
    """Makes it later for the lease: the one that a dead job holds has run out."""
    if (lake.tables / "_lease" / "_delta_log").exists():
        table = DeltaTable(str(lake.tables / "_lease"))
        if table.to_pyarrow_table().num_rows:
            table.update(new_values={"expires_at": datetime(2026, 1, 1, tzinfo=UTC)})


def versions(lake: Lake) -> dict[str, int]:
    """The version of each table but the lease's."""
    found = lake.tables.glob("*/_delta_log")
    return {log.parent.name: DeltaTable(str(log.parent)).version() for log in found if log.parent.name != "_lease"}


def active_files(lake: Lake, table: str) -> int:
    """How many files a table consists of."""
    return len(DeltaTable(str(lake.tables / table)).file_uris())


class DuckDB:
    """Reads Delta tables by an engine that wrote none of them."""

    def __init__(self) -> None:
        extension = next(Path(duckdb_extension_delta.__file__).parent.rglob("*.duckdb_extension"))
        self._connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        self._connection.execute(f"LOAD '{extension}'")

        self._connection.execute("SET TimeZone = 'UTC'")

    def select(self, lake: Lake, table: str, *items: str) -> list[tuple[Any, ...]]:
        """What a query of a table answers."""
        sql = f"SELECT {', '.join(items)} FROM delta_scan('{lake.tables / table}')"
        return self._connection.cursor().execute(sql).fetchall()

    def rows(self, lake: Lake, table: str, *names: str) -> list[tuple[Any, ...]]:
        """A table's rows, sorted as Lake.rows sorts them."""
        return sorted(self.select(lake, table, *(f'"{name}"' for name in names)), key=str)
