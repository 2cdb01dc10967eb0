"""What the tests of upload, convert and verify share: a workspace, the `lakehouse` command, and loads made by hand.

Parts, facts and manifests are written here from docs/contracts.md with pyarrow and plain Python, not with the
project's own writers: the tests would otherwise share their mistakes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import struct
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "plugins/utilities/lakehouse/src"
TOKEN = "dapi-of-the-tests"
CLIENT_ID, CLIENT_SECRET = "4c2b0d8e-6a6c-4a3e-9a55-0f4c4f0c5a11", "dose-of-the-tests"
CLUSTER = "1124-120000-sandbox1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode every command takes three times as long
VOLUME = "/Volumes/main/lighthouse/stage"
DOCUMENTS = itertools.count()


@cache
def _validator(name: str) -> Any:
    schema = json.loads((ROOT / "plugins/shared/singer-arrow/schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def fits(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document, which is as its JSON Schema file says: manifest, load-document, published-document or ledger-row."""
    problems = [f"{name} {error.json_path}: {error.message}" for error in _validator(name).iter_errors(document)]
    assert not problems, "; ".join(problems)
    return document


class Workspace:
    """`python -m sandbox.workspace` as a process of its own."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data / "workspace"
        self.stage = self.data / "dbfs/lighthouse/stage"
        self.delta = self.data / "dbfs/lighthouse/delta"
        self._ready = data / "ready.json"
        self.start(*options)

    def start(self, *options: str) -> None:
        self._ready.unlink(missing_ok=True)
        python = ROOT / ".venvs/sandbox/bin/python"
        command = [str(python if python.exists() else sys.executable), "-m", "sandbox.workspace", *options]
        command += ["--data", str(self.data), "--ready", str(self._ready)]
        secrets = {"SANDBOX_TOKEN": TOKEN, "SANDBOX_CLIENT_ID": CLIENT_ID, "SANDBOX_CLIENT_SECRET": CLIENT_SECRET}
        self._process = subprocess.Popen(command, cwd=ROOT, env=os.environ | secrets)
        until = time.monotonic() + 30
        while not self._ready.exists():
            assert self._process.poll() is None and time.monotonic() < until, "the workspace did not start"
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{json.loads(self._ready.read_text())['port']}"

    def fail(self, *faults: dict[str, Any], **more: Any) -> None:
        """What goes wrong next: sandbox/workspace/faults.py."""
        self._admin("faults", json.dumps({"requests": faults} | more).encode())

    def seen(self, path: str = "") -> list[dict[str, Any]]:
        """The requests so far whose path has `path` in it, oldest first: method, path, time, status."""
        return [each for each in json.loads(self._admin("requests")) if path in each["path"]]

    def get(self, path: str) -> dict[str, Any]:
        """What the workspace answers."""
        return dict(json.loads(self._ask(path)))

    def _admin(self, name: str, body: bytes | None = None) -> bytes:
        return self._ask(f"/sandbox/{name}", body)

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", body, {"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return bytes(answer.read())

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(20)


def lakehouse(workspace: Workspace, output: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `lakehouse`; keywords set environment variables, an empty one unsets."""
    command, environment = invocation(workspace, output, *arguments, **more)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def invocation(workspace: Workspace, output: Path, *arguments: str, **more: str) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of `lakehouse`."""
    settings = {
        "DATABRICKS_HOST": workspace.url,
        "DATABRICKS_TOKEN": TOKEN,
        "DATABRICKS_CLUSTER_ID": CLUSTER,
        "LAKEHOUSE_TARGET": "dbfs:/lighthouse/delta",
        "LAKEHOUSE_OUTPUT": str(output),
        "PYTHONPATH": str(SOURCE),
    }
    environment = {k: v for k, v in (os.environ | settings | more).items() if v and not k.lower().endswith("_proxy")}
    return [sys.executable, "-m", "lakehouse.cli", *arguments], environment


@dataclass
class Made:
    """One load on disk: its manifest and where it lies."""

    manifest: dict[str, Any]
    path: Path
    tables: list[pa.Table] = field(default_factory=list)

    @property
    def load_id(self) -> str:
        return str(self.manifest["load_id"])

    def rewrite(self, **changes: Any) -> None:
        self.manifest |= changes
        self.path.write_text(json.dumps(self.manifest))


def make_load(output: Path, stream: str, tables: list[pa.Table], **given: Any) -> Made:
    """Writes the parts (one per table) and the manifest of a load. `started` counts minutes, to order loads."""
    source, started = given.pop("source", "sqlserver"), given.pop("started", 0)
    begin = datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC) + timedelta(minutes=started)
    load_id = f"{begin:%Y%m%dT%H%M%SZ}-{hashlib.sha256(f'{source}{stream}{started}'.encode()).hexdigest()[:12]}"
    schema = given.pop("schema", None) or tables[0].schema
    folder = quote(stream, safe="")
    files = []
    for number, table in enumerate(tables, 1):
        hidden = output / source / folder / f".{number}"
        hidden.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, hidden, compression="zstd")
        digest = hashlib.sha256(hidden.read_bytes()).hexdigest()
        path = f"{folder}/{load_id}-{number:04d}-{digest[:12]}.parquet"
        size = hidden.stat().st_size
        hidden.rename(output / source / path)
        files.append({"path": path, "rows": len(table), "bytes": size, "sha256": digest, "min_key": None, "max_key": None})
    whole = pa.concat_tables(tables) if tables else schema.empty_table()
    keys = given.get("key_columns", [])
    manifest = {
        "version": 1, "load_id": load_id, "run_id": "run", "source": source, "stream": stream,
        "table": stream.lower().replace("-", "_"), "mode": "overwrite", "key_columns": keys, "cursor": None,
        "schema": [{"name": f.name, "column": f.name.replace(" ", "_"), "type": str(f.type), "nullable": f.nullable,
                    "source_type": "test"} for f in schema],
        "files": files, "rows": len(whole), "source_rows": len(whole),
        "columns": {name: facts(whole.column(name)) for name in whole.column_names},
        "dead_letters": 0, "bookmark": {"replication_key_value": str(started)},
        "started_at": begin.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "ended_at": (begin + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "notes": [],
    } | given  # fmt: skip
    path = output / source / "_manifests" / f"{load_id}.json"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(manifest))
    return Made(fits("manifest", manifest), path, tables)


def add_deletes(load: Made, keys: pa.Table) -> None:
    """Gives a load of changes a part of keys that the source deleted, and counted."""
    source, number = load.path.parent.parent, len(load.manifest["files"]) + 1
    folder = quote(load.manifest["stream"], safe="")
    hidden = source / folder / f".{number}"
    pq.write_table(keys, hidden, compression="zstd")
    digest, size = hashlib.sha256(hidden.read_bytes()).hexdigest(), hidden.stat().st_size
    path = f"{folder}/{load.load_id}-{number:04d}-{digest[:12]}.parquet"
    hidden.rename(source / path)
    part = {"path": path, "rows": len(keys), "bytes": size, "sha256": digest, "min_key": None, "max_key": None, "deletes": True}
    load.rewrite(files=[*load.manifest["files"], part], deletes=len(keys), source_deletes=len(keys))
    fits("manifest", load.manifest)


def facts(column: pa.ChunkedArray) -> dict[str, Any]:
    """docs/contracts.md, Column facts, value by value in Python."""
    kind, ticks = column.type, []
    values = [each for each in plain(column) if each is not None]
    told: dict[str, Any] = {"non_null": len(values)}
    if pa.types.is_string(kind):
        return told | {"length": sum(len(each.encode()) for each in values)}
    if pa.types.is_binary(kind):
        return told | {"length": sum(map(len, values))}
    if pa.types.is_boolean(kind):
        return told | {"sum": str(sum(values))}
    if pa.types.is_floating(kind):
        numbers = [each for each in values if not math.isnan(each)]
        told["nan"] = len(values) - len(numbers)
        return told | ends(numbers, repr if pa.types.is_float64(kind) else shortest32)
    if pa.types.is_decimal(kind):
        if kind.precision <= 28:
            told["sum"] = format(exact_sum(values), "f") if values else "0"
        return told | ends(values, lambda each: format(each, "f"))
    if pa.types.is_time(kind):
        ticks = [int(each[:2]) * 3600 * 10**9 + int(each[3:5]) * 60 * 10**9 + int(each[6:8]) * 10**9 + int(each[9:]) * 100
                 for each in values]  # fmt: skip
        return told | {"sum": str(sum(ticks))} | ends(values, str)
    if pa.types.is_date(kind):
        return told | {"sum": str(sum((each - date(1970, 1, 1)).days for each in values))} | ends(values, date.isoformat)
    if pa.types.is_timestamp(kind):
        naive = [each.replace(tzinfo=None) for each in values]
        ticks = [(each - datetime(1970, 1, 1)) // timedelta(microseconds=1) for each in naive]
        zone = "Z" if kind.tz else ""
        return told | {"sum": str(sum(ticks))} | ends(naive, lambda e: e.isoformat(timespec="microseconds") + zone)
    return told | {"sum": str(sum(values))} | ends(values, str)


def shortest32(value: float) -> str:
    """The shortest text that reads back as the same 32-bit float."""
    if math.isinf(value):
        return repr(value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        try:
            if struct.pack("<f", float(text)) == struct.pack("<f", value):
                return text
        except OverflowError:  # rounded up beyond the largest float
            continue
    raise ValueError(value)


def exact_sum(values: list[Decimal]) -> Decimal:
    context = Context(prec=100)
    total = values[0]
    for each in values[1:]:
        total = context.add(total, each)
    return total


def ends(values: list[Any], text: Any) -> dict[str, Any]:
    return {"min": text(min(values)), "max": text(max(values))} if values else {"min": None, "max": None}


def plain(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python values; times as the text they are in Delta."""
    if not pa.types.is_time(column.type):
        return list(column.to_pylist())
    unit = 1000 if column.type.unit == "us" else 1
    texts: list[Any] = []
    for each in column.cast(pa.int64()).to_pylist():
        seconds, rest = divmod(each * unit, 10**9) if each is not None else (0, 0)
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest // 100:07d}"
        texts.append(None if each is None else text)
    return texts


def boundaries() -> pa.Table:
    """Three rows (low end, high end, NULL) of every type of docs/contracts.md."""
    nines, midnight = "9" * 38, datetime(1, 1, 1)
    last = datetime(9999, 12, 31, 23, 59, 59, 999999)
    columns: list[tuple[str, pa.DataType, list[Any]]] = [
        ("Id", pa.int32(), [1, 2, 3]),
        ("bool", pa.bool_(), [False, True, None]),
        ("int16", pa.int16(), [-(2**15), 2**15 - 1, None]),
        ("int32", pa.int32(), [-(2**31), 2**31 - 1, None]),
        ("int64", pa.int64(), [2**63 - 2, 2**63 - 1, None]),
        ("float", pa.float32(), [-3.4028234663852886e38, 1.100000023841858, None]),
        ("double", pa.float64(), [5e-324, 1.7976931348623157e308, None]),
        ("money", pa.decimal128(19, 4), [Decimal("-922337203685477.5808"), Decimal("922337203685477.5807"), None]),
        ("p28", pa.decimal128(28, 10), [Decimal("0.0000000001"), Decimal("999999999999999999.9999999999"), None]),
        ("p38", pa.decimal128(38, 0), [Decimal("-" + nines), Decimal(nines), None]),
        ("p38s10", pa.decimal128(38, 10), [Decimal("0E-10"), Decimal(f"{nines[:28]}.{nines[:10]}"), None]),
        ("date", pa.date32(), [date(1, 1, 1), date(9999, 12, 31), None]),
        ("datetime2", pa.timestamp("us"), [midnight, last, None]),
        ("offset", pa.timestamp("us", tz="UTC"), [midnight.replace(tzinfo=UTC), last.replace(tzinfo=UTC), None]),
        ("time us", pa.time64("us"), [clock(0), clock(23, 59, 59, 999999), None]),
        ("time ns", pa.time64("ns"), [0, 86_399_999_999_900, None]),
        ("string", pa.string(), ["", "ação 😀 'quoted' \\ \n", None]),
        ("binary", pa.binary(), [b"", b"\x00\xff\xfe", None]),
        ("nothing", pa.string(), [None, None, None]),
    ]  # fmt: skip
    return pa.table({name: pa.array(values, kind) for name, kind, values in columns})


def published(workspace: Workspace) -> dict[str, Any]:
    """The newest published document, read from the workspace's disk and checked against its schema."""
    for folder in sorted(workspace.stage.joinpath("_published").iterdir(), reverse=True):
        for file in folder.iterdir():
            if file.stat().st_size and not file.name.startswith(("_", ".")):
                return fits("published-document", json.loads(file.read_text()))
    raise AssertionError("nothing was published")


def result(load: Made, status: str, *problems: str, action: str = "") -> dict[str, Any]:
    """What a published document says of a load."""
    names = ("load_id", "source", "stream", "table", "mode", "rows", "source_rows")
    figures = {"delta_rows": load.manifest["rows"] if status == "applied" else None, "equal": status == "applied" or None}
    told = {"status": status, "problems": list(problems), "action": action}
    return {name: load.manifest[name] for name in names} | figures | told


def publish(workspace: Workspace, loads: list[dict[str, Any]], target: str = "dbfs:/lighthouse/delta", **given: Any) -> Path:
    """Writes a published document as the conversion job does, newer than those that are there; its folder."""
    folder = workspace.stage / "_published"
    number = next(DOCUMENTS)
    order = f"{number:012x}"
    document = {
        "version": 1, "published_at": f"2026-11-24T16:{number // 60:02d}:{number % 60:02d}.000000Z", "order": order,
        "target": target, "ledger": "0c7b3f0e-6a6c-4a3e-9a55-0f4c4f0c5a11", "bookmarks": {}, "loads": loads,
        "committed": [each["load_id"] for each in loads if each["status"] in ("applied", "already", "superseded")],
    } | given  # fmt: skip
    made = folder / f"20261124T16{number // 60:02d}{number % 60:02d}000000Z-{order}"
    made.mkdir(parents=True)
    (made / "part-00000.txt").write_text(json.dumps(fits("published-document", document)) + "\n")
    (made / "_SUCCESS").write_bytes(b"")
    return made
