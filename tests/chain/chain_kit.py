"""Runs `entrypoint.sh` in a throw-away project folder; its processes, and what it leaves in files."""

from __future__ import annotations

import base64
import json
import os
import pty
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psutil
import pyarrow as pa
from deltalake import DeltaTable
from lakehouse_kit import fits

from sandbox import project
from sandbox.launch import Sandbox

SCALE = 0.02
SECRETS = {  # with their users
    "TAP_MSSQL_PASSWORD": "reader",
    "API_PASSWORD": "reader",
    "DATABRICKS_TOKEN": "token",
    "OPENLINEAGE_API_KEY": "",
    "OTEL_EXPORTER_OTLP_HEADERS": "",
}


@dataclass(frozen=True)
class Result:
    """How a command ended, everything it said, how long it took, and the argument lists seen when watched."""

    code: int
    text: str
    seconds: float
    command_lines: frozenset[str] = frozenset()

    @property
    def lines(self) -> list[str]:
        """What it said, on either stream, in the order that each has."""
        return self.text.splitlines()


@dataclass
class Pipeline:
    """A project folder, and the environment that points it at the sandbox."""

    sandbox: Sandbox
    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    screens: list[threading.Thread] = field(default_factory=list)

    @classmethod
    def make(cls, sandbox: Sandbox, parent: Path, name: str) -> Pipeline:
        folder = project.make(parent / "project")
        places = {"LAKEHOUSE_STAGE": f"dbfs:/{name}/stage", "LAKEHOUSE_TARGET": f"dbfs:/{name}/delta"}
        return cls(sandbox, folder, project.environment(folder, sandbox.environment | places))

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def delta(self) -> Path:
        return self.sandbox.workspace.data / "dbfs" / self.environment["LAKEHOUSE_TARGET"].removeprefix("dbfs:/")

    @property
    def stage(self) -> Path:
        return self.sandbox.workspace.data / "dbfs" / self.environment["LAKEHOUSE_STAGE"].removeprefix("dbfs:/")

    def start(self, *command: str, on_terminal: bool = False, **changes: str) -> subprocess.Popen[bytes]:
        """Starts `entrypoint.sh` in a session of its own; what it says goes to a file. An empty change unsets."""
        environment = {name: value for name, value in (self.environment | changes).items() if value}
        log = self.folder.parent / f"log-{len(self.processes)}"
        with self._terminal(log) if on_terminal else log.open("wb") as said:
            process = subprocess.Popen(
                [str(self.folder / "entrypoint.sh"), *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def _terminal(self, log: Path) -> IO[bytes]:
        """A terminal of 24 lines and 100 columns for a process to be started; what it shows goes to a file."""
        ours, its = pty.openpty()
        termios.tcsetwinsize(its, (24, 100))

        def copy() -> None:
            with log.open("wb") as said, suppress(OSError):  # EIO: nobody has it open any more
                while shown := os.read(ours, 65_536):
                    said.write(shown)
            os.close(ours)

        self.screens.append(threading.Thread(target=copy, daemon=True))
        self.screens[-1].start()
        return os.fdopen(its, "wb")

    def said(self, process: subprocess.Popen[bytes]) -> str:
        for screen in self.screens:
            screen.join(10)
        return (self.folder.parent / f"log-{self.processes.index(process)}").read_text()

    def run(self, *command: str, watch: bool = False, on_terminal: bool = False, **changes: str) -> Result:
        began = time.monotonic()
        process = self.start(*command, on_terminal=on_terminal, **changes)
        with watched(process.pid) if watch else _nothing() as seen:
            code = process.wait(200)
        return Result(code, self.said(process), time.monotonic() - began, frozenset(seen))

    def table(self, name: str) -> pa.Table:
        return DeltaTable(str(self.delta / name)).to_pyarrow_table()

    def tables(self) -> set[str]:
        return {each.name for each in self.delta.iterdir()} - {"_loads", "_lease"}

    def ledger(self) -> list[dict[str, Any]]:
        rows = self.table("_loads").to_pylist()
        return [fits("ledger-row", row | {"committed_at": row["committed_at"].isoformat()}) for row in rows]

    def orders(self) -> list[str]:
        """What the conversion job was asked to do so far: the newest few, a file for each run of it."""
        return [file.name for file in (self.stage / "_job").glob("*.json")]

    def manifest(self, stream: str) -> dict[str, Any]:
        """The newest local manifest of a stream of SQL Server."""
        paths = sorted(self.output.glob("docker_elt/sqlserver/_manifests/*.json"))
        return next(m for m in (json.loads(path.read_text()) for path in reversed(paths)) if m["stream"] == stream)


def forms_of(pipeline: Pipeline, name: str) -> set[str]:
    """A variable's secret as tools write it: plain, base64, as HTTP's Basic sends it with its user, in a URL, in JSON."""
    secret, user = pipeline.environment[name], SECRETS[name]
    packed = (base64.b64encode(each.encode()).decode().rstrip("=") for each in (secret, f"{user}:{secret}"))
    return {secret, *packed, quote(secret, safe=""), json.dumps(secret)[1:-1]}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _nothing() -> Iterator[set[str]]:
    yield set()


@contextmanager
def watched(pid: int) -> Iterator[set[str]]:
    """Reads the argument lists of a process and all below it, over and over until the block ends."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for process in tree(pid):
                with suppress(psutil.Error):
                    seen.add("\0".join(process.cmdline()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything below it, whatever process group it is in."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def halt(pid: int) -> set[psutil.Process]:
    """Suspends a process and all below it at one moment: none can start another meanwhile. What has ended is passed over."""
    stopped: set[psutil.Process] = set()
    while new := set(tree(pid)) - stopped:
        for process in new:
            with suppress(psutil.Error):
                process.suspend()
        stopped |= new
    return stopped


def kill_tree(pid: int) -> None:
    """`kill -9` for all at one moment."""
    stopped = halt(pid)
    for process in stopped:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stopped, 10)


def mine(folder: Path) -> list[psutil.Process]:
    """Every process that works in a project folder or was started with its environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("MELTANO_PROJECT_ROOT") == str(folder):
                found.append(process)
    return found


def works(folder: Path, words: str) -> bool:
    """Whether a process of a project folder has these words in its command line; one that has just ended has none."""
    for process in mine(folder):
        with suppress(psutil.Error):
            if words in " ".join(process.cmdline()):
                return True
    return False


def strays(output: Path) -> list[str]:
    """Names that are nobody's data: temp names, and parts no manifest names."""
    allowed = {output / ".lock", output / ".bookmarks", *output.glob("docker_elt/*/.lock"), *output.glob("spool/*/.lock")}
    hidden = {path for path in output.rglob("*") if path.name.startswith(".") or path.name.endswith(".tmp")}
    return sorted(str(path.relative_to(output)) for path in {*(hidden - allowed), *half_written(output)})


def half_written(output: Path) -> Iterable[Path]:
    """Parts below docker_elt that no manifest names; raises where a manifest names one that is not there."""
    for source in output.glob("docker_elt/*"):
        named = set()
        for manifest in source.glob("_manifests/*.json"):
            for file in fits("manifest", json.loads(manifest.read_text()))["files"]:
                part = source / file["path"]
                assert part.stat().st_size == file["bytes"], f"{manifest} names {part}"
                named.add(part)
        yield from set(source.rglob("*.parquet")) - named
