"""Starts the servers as processes, for tests and benchmarks; needs nothing but the standard library."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]  # installed editable: the project folder
PYTHON = ROOT / ".venvs/sandbox/bin/python"
START_SECONDS = 60


@dataclass(frozen=True)
class Counterpart:
    """A running server: its process, the content of its ready file, and the password or token it accepts."""

    process: subprocess.Popen[bytes]
    facts: Mapping[str, Any]
    secret: str
    data: Path


@contextmanager
def counterpart(name: str, data: Path, *options: str, start_seconds: float = START_SECONDS) -> Iterator[Counterpart]:
    """Runs `python -m sandbox.NAME` until the block ends.

    Raises RuntimeError with the end of its log if it is not ready after `start_seconds`.
    """
    data.mkdir(parents=True, exist_ok=True)
    ready, log, secret = data / "ready.json", data / "log.txt", secrets.token_urlsafe(24)
    ready.unlink(missing_ok=True)
    login = {"SANDBOX_USER": "reader", "SANDBOX_PASSWORD": secret, "SANDBOX_TOKEN": secret}
    environment = {**os.environ, **login, "OPENBLAS_NUM_THREADS": "1"}  # idle threads of numpy cost 0.07 s of each start
    copies = ("--copies", str(ROOT / ".cache/sandbox")) if name == "sqlserver" else ()
    command = [str(PYTHON), "-m", f"sandbox.{name}", "--data", str(data / "data"), "--ready", str(ready), *copies, *options]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Counterpart(process, _wait(name, process, ready, log, start_seconds), secret, data / "data")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], ready: Path, log: Path, seconds: float) -> Mapping[str, Any]:
    deadline = time.monotonic() + seconds
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"sandbox.{name} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
    facts: Mapping[str, Any] = json.loads(ready.read_text())
    return facts


@dataclass(frozen=True)
class Sandbox:
    """All three servers, and the environment that points the pipeline at them."""

    sqlserver: Counterpart
    api: Counterpart
    workspace: Counterpart

    @property
    def environment(self) -> dict[str, str]:
        """The variables of .env.save, filled in."""
        sql, api, workspace = self.sqlserver, self.api, self.workspace
        return {
            "TAP_MSSQL_HOST": "127.0.0.1",
            "TAP_MSSQL_PORT": str(sql.facts["port"]),
            "TAP_MSSQL_USER": "reader",
            "TAP_MSSQL_PASSWORD": sql.secret,
            "TAP_MSSQL_DATABASE": str(sql.facts["database"]),
            "TAP_MSSQL_SERVER_CERTIFICATE": str(sql.facts["ca_file"]),
            "API_HOST": str(api.facts["url"]),
            "API_USER": "reader",
            "API_PASSWORD": api.secret,
            "DATABRICKS_HOST": f"http://127.0.0.1:{workspace.facts['port']}",
            "DATABRICKS_TOKEN": workspace.secret,
            "DATABRICKS_CLUSTER_ID": "1124-120000-sandbox1",
            "LAKEHOUSE_STAGE": "dbfs:/lighthouse/stage",
            "LAKEHOUSE_TARGET": "dbfs:/lighthouse/delta",
        }


@contextmanager
def sandbox(data: Path, scale: float = 1.0, workspace: tuple[str, ...] = ()) -> Iterator[Sandbox]:
    """Runs all three servers until the block ends."""
    with ExitStack() as stack:
        parts = [
            stack.enter_context(counterpart(name, data / name, *options))
            for name, options in (
                ("sqlserver", ("--scale", str(scale))),
                ("api", ("--scale", str(scale))),
                ("workspace", workspace),
            )
        ]
        yield Sandbox(*parts)
