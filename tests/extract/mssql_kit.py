"""Runs the real tap against the SQL Server counterpart, and compares what it wrote with what the driver alone reads."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import msgspec
import mssql_python
import pyarrow as pa
import pyarrow.parquet as pq
from lakehouse_kit import fits

from sandbox.launch import Counterpart, counterpart
from singer_arrow import catalog
from singer_arrow.errors import ArrowSingerError, SelectionRefused, SettingsRefused
from tap_mssql.config.settings import parse
from tap_mssql.errors import TapError
from tap_mssql.plan import explain
from tap_mssql.singer import batch_output
from tap_mssql.singer.run import Run

ROOT = Path(__file__).resolve().parents[2]

TAP = Path(sys.executable).with_name("tap-mssql")
LIMIT_SECONDS = 240
READ = r"^SELECT (TOP \([1-9]\d*\) )?"  # how a statement begins that reads rows


def connect(server: Counterpart) -> Any:
    pairs = {
        "SERVER": f"127.0.0.1,{server.facts['port']}", "DATABASE": server.facts["database"], "UID": "reader",
        "PWD": server.secret, "Encrypt": "yes", "TrustServerCertificate": "yes",
    }  # fmt: skip
    return mssql_python.connect(";".join(f"{name}={value}" for name, value in pairs.items()), autocommit=True)


def execute(server: Counterpart, *statements: str) -> None:
    connection = connect(server)
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def select(server: Counterpart, sql: str) -> pa.Table:
    """A result as the driver alone reads it; text and bytes in the small types that parts have."""
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute(sql)
    batches = []
    while True:
        batch = cursor.arrow_batch(65_536)
        if batches and not batch.num_rows:
            break
        batches.append(batch)
    connection.close()
    table = pa.Table.from_batches(batches)
    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary(), pa.uint8(): pa.int16()}
    small[pa.timestamp("us", tz="+00:00")] = pa.timestamp("us", tz="UTC")
    return table.cast(pa.schema([pa.field(f.name, small.get(f.type, f.type)) for f in table.schema]))


@contextmanager
def numbered(folder: Path, rows: int) -> Iterator[Counterpart]:
    """A counterpart with one table, big.Many: so many ids."""
    pq.write_table(pa.table({"id": pa.array(range(rows), pa.int32())}), folder / "rows.parquet")
    with counterpart("sqlserver", folder, "--only-parquet", "--parquet", f"big.Many={folder / 'rows.parquet'}:id") as running:
        yield running


@dataclass
class Ran:
    """How the tap ended: its exit code, its messages, what it said."""

    code: int
    messages: list[dict[str, Any]]
    said: str
    tables: dict[str, pa.Table] = field(default_factory=dict)
    deleted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # keys of deleted rows, by stream

    def __post_init__(self) -> None:
        """Parts are read at once: the next run of the same tap takes them away."""
        for stream in self.streams:
            deletes = {file["path"] for file in self.document(stream)["files"] if file["deletes"]}
            parts = {path: pq.read_table(path, partitioning=None) for path in self.paths(stream)}
            self.tables[stream] = pa.concat_tables(part for path, part in parts.items() if path.name not in deletes)
            self.deleted[stream] = [row for path, part in parts.items() if path.name in deletes for row in part.to_pylist()]

    @property
    def rows(self) -> dict[str, set[Any]]:
        """The values of column `id` by stream."""
        return {stream: set(table.column("id").to_pylist()) for stream, table in self.tables.items()}

    @property
    def streams(self) -> set[str]:
        """Streams that were told whole."""
        return {m["stream"] for m in self.messages if m["type"] == "BATCH"}

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE."""
        return next((m["value"] for m in reversed(self.messages) if m["type"] == "STATE"), {})

    def paths(self, stream: str) -> list[Path]:
        """The parts of a stream, in the order told."""
        return [
            Path(unquote(urlparse(uri).path))
            for m in self.messages
            if m["type"] == "BATCH" and m["stream"] == stream
            for uri in m["manifest"]
        ]

    def document(self, stream: str) -> dict[str, Any]:
        """The load document beside the parts."""
        first = self.paths(stream)[0]
        [path] = first.parent.glob("*.load.json")
        return fits("load-document", json.loads(path.read_text()))

    def table(self, stream: str) -> pa.Table:
        """All rows of a stream, in the order of its parts."""
        return self.tables[stream]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """The RECORDs of a stream."""
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]


@dataclass
class Tap:
    """The tap with its spool in a folder, and settings that point it at a counterpart."""

    server: Counterpart
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    batch: bool = True
    catalog: dict[str, Any] | None = None

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def config(self, **settings: Any) -> dict[str, Any]:
        given = {
            "host": "127.0.0.1", "port": self.server.facts["port"], "user": "reader", "password": self.server.secret,
            "database": self.server.facts["database"], "server_certificate": self.server.facts["ca_file"],
        } | self.settings | settings  # fmt: skip
        if self.batch:
            encoding = {"format": "parquet", "compression": "zstd"}
            given["batch_config"] = {"encoding": encoding, "storage": {"root": self.spool.as_uri()}}
        return given

    def start(self, state: dict[str, Any] | None = None, **settings: Any) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        config, states = self.folder / "config.json", self.folder / "state.json"
        config.write_text(json.dumps(self.config(**settings)))
        states.write_text(json.dumps(state or {}))
        command = [str(TAP), "--config", str(config), "--state", str(states)]
        if self.catalog is not None:
            (self.folder / "catalog.json").write_text(json.dumps(self.catalog))
            command += ["--catalog", str(self.folder / "catalog.json")]
        with (self.folder / "out").open("wb") as out, (self.folder / "said").open("wb") as said:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=said,
                env={**os.environ, "MELTANO_RUN_ID": ""},
            )

    def discovered(self) -> dict[str, Any]:
        """The catalog that the tap discovers, every stream selected."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "discovery.json"
        config.write_text(json.dumps(self.config()))
        command = [str(TAP), "--config", str(config), "--discover"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_SECONDS).stdout)
        for stream in found["streams"]:
            stream["selected"] = True
        return dict(found)

    def plan(self, state: dict[str, Any] | None = None, **settings: Any) -> tuple[dict[str, dict[str, Any]], str]:
        """What `--plan --json` says by stream, and what is said on standard error."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config, states = self.folder / "plan.json", self.folder / "plan-state.json"
        config.write_text(json.dumps(self.config(**settings)))
        states.write_text(json.dumps(state or {}))
        command = [str(TAP), "--config", str(config), "--state", str(states), "--plan", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        return {step["stream"]: step for step in json.loads(done.stdout or "[]")}, done.stderr

    def _run(self, config: dict[str, Any]) -> Run:
        """As the program makes it."""
        return Run(parse(config), config["batch_config"], None if self.catalog is None else catalog.selected(self.catalog))

    def steps(self, state: dict[str, Any] | None = None, **settings: Any) -> tuple[dict[str, dict[str, Any]], str]:
        """What `plan` says, in this process."""
        config = self.config(**settings)
        run, refused = self._run(config), dict[str, ArrowSingerError]()
        bookmarks = (state or {}).get("bookmarks", {})
        chosen = [(choice, bookmarks.get(choice.stream, {})) for choice in batch_output.choices(run, self.catalog)]
        with run.session() as session:
            found = explain.steps(chosen, run.settings, run.isolation, session, refused)
        return {step.stream: msgspec.structs.asdict(step) for step in found}, "\n".join(map(str, refused.values()))

    def ran(self, process: subprocess.Popen[bytes]) -> Ran:
        try:
            code = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise AssertionError(f"the tap hangs: {(self.folder / 'said').read_text()[-3000:]}") from None
        lines = (self.folder / "out").read_text().splitlines()
        return Ran(code, [json.loads(line) for line in lines if line], (self.folder / "said").read_text())

    def run(self, state: dict[str, Any] | None = None, **settings: Any) -> Ran:
        return self.ran(self.start(state, **settings))

    def read(self, state: dict[str, Any] | None = None, **settings: Any) -> Ran:
        """What `run` does with BATCH output, in this process: a start of the program takes longer than a small table does."""
        said, code, messages = io.StringIO(), 0, list[Any]()
        os.environ.pop("SSL_CERT_FILE", None)  # of the read before: `server_certificate`
        handler = logging.StreamHandler(said)
        loggers = [logging.getLogger("tap-mssql")]
        for logger in loggers:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        try:
            config = self.config(**settings)
            run = self._run(config)
            given = {"bookmarks": {}} | copy.deepcopy(state or {})
            batch_output.sync(run, batch_output.choices(run, self.catalog), given, lambda m: messages.append(copy.deepcopy(m)))
        except (SettingsRefused, SelectionRefused) as error:
            code = 2
            said.write(str(error))
        except (TapError, ArrowSingerError) as error:
            code = 3
            said.write(str(error))
        finally:
            for logger in loggers:
                logger.removeHandler(handler)
        return Ran(code, messages, said.getvalue())


def good(ran: Ran) -> Ran:
    """A run that went well: says what went wrong otherwise."""
    assert ran.code == 0, ran.said[-4000:]
    return ran


def equal(left: pa.Table, right: pa.Table) -> None:
    """The same values in the same order."""
    assert left.schema.names == right.schema.names
    assert left.num_rows == right.num_rows
    for name in left.schema.names:
        assert left.column(name).combine_chunks().equals(right.column(name).combine_chunks()), name


def same(left: pa.Table, right: pa.Table) -> None:
    """The same rows, each as often, whatever their order."""
    by = [(name, "ascending") for name in left.schema.names if not pa.types.is_boolean(left.schema.field(name).type)]
    equal(left.sort_by(by), right.sort_by(by))
