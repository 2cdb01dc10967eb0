"""Runs the tap as a user does, in a process of its own, and says what came of it."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
from lakehouse_kit import fits

from api_kit.styles import STYLES
from api_kit.table import COLUMNS, Row, stored

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = ROOT / ".venvs/published/bin/tap-rest-api-msdk"
ENDED, REFUSED = 0, 3
MB = 300.0  # resident memory: all modules, and no page in these tests that needs more, whatever the server sends
SECONDS = 20.0
BASE: dict[str, Any] = {
    "records_path": "$.data[*]",
    "total_path": "$.total",
    "request_timeout_seconds": 5,
    "backoff_max_seconds": 2,
    "throttle_max_seconds": 4,
    "overlap_pages": False,  # so that pages begin where the cases say
}


quick: list[Callable[..., Run]] = []  # how runs begin where the tap's modules are in memory already (conftest.py)


@functools.cache
def tap() -> str:
    """The tap's executable: TAP_REST_API_MSDK, beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("tap-rest-api-msdk")
    found = os.environ.get("TAP_REST_API_MSDK") or (str(beside) if beside.exists() else shutil.which("tap-rest-api-msdk"))
    assert found, "tap-rest-api-msdk is not installed"
    return found


def stream(**changed: Any) -> dict[str, Any]:
    """The stream `things`; what is changed to None is left out."""
    given = {"name": "things", "path": "/things", "primary_keys": ["id"], "schema": {"properties": dict(COLUMNS)}, **changed}
    return {name: value for name, value in given.items() if value is not None}


def settings(url: str, spool: Path | None, *streams: Mapping[str, Any], style: str = "offset", **changed: Any) -> dict[str, Any]:
    """A configuration: BATCH output with a spool, RECORD output without; what is changed to None is left out."""
    batch = {"encoding": {"format": "parquet", "compression": "zstd"}, "storage": {"root": spool.as_uri()}} if spool else None
    given = {
        "api_url": url,
        **BASE,
        **STYLES[style].settings,
        "batch_config": batch,
        **changed,
        "streams": list(streams or [stream()]),
    }
    return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Run:
    """What a run left. `code` is None where it did not end by itself; `peak_mb` the greatest resident memory."""

    code: int | None
    log: str
    output: str
    spool: Path
    seconds: float
    peak_mb: float

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The Singer messages; numbers with a point as Decimal."""
        return [json.loads(line, parse_float=Decimal) for line in self.output.splitlines()]

    def sent(self, kind: str, name: str = "things") -> list[dict[str, Any]]:
        """The messages of a kind of a stream."""
        return [message for message in self.messages if message["type"] == kind and message.get("stream") == name]

    def records(self, name: str = "things") -> list[Row]:
        return [message["record"] for message in self.sent("RECORD", name)]

    def documents(self, name: str = "things") -> list[dict[str, Any]]:
        """The load documents of a stream."""
        return [fits("load-document", json.loads(path.read_text())) for path in self.spool.glob(f"{name}/*.load.json")]

    def document(self, name: str = "things") -> dict[str, Any]:
        [found] = self.documents(name)
        return found

    def staged(self, name: str = "things") -> list[Row]:
        """The rows of the load, from the parts that its document and its BATCH message name."""
        document = self.document(name)
        paths = [self.spool / name / file["path"] for file in document["files"]]
        [batch] = self.sent("BATCH", name)
        assert [path.absolute().as_uri() for path in paths] == batch["manifest"]
        numbered = document["row_number"]
        found = [row for path in paths for row in pq.read_table(path).to_pylist()]
        return [{key: value for key, value in row.items() if key != numbered} for row in found]

    def left(self) -> str:
        """Everything that the run has said and written, to look for secrets in it."""
        files = (path for path in self.spool.parent.rglob("*") if path.is_file() and path.name != "config.json")
        return "\n".join([self.log, self.output, *(path.read_bytes().decode("utf-8", "replace") for path in files)])


def run(
    folder: Path,
    config: Mapping[str, Any],
    *options: str,
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Run:
    """Runs the tap (or `command`) with this configuration; ends it after `seconds`. One with its own variables starts anew."""
    if quick and not command and env is None:
        return quick[0](folder, config, *options, seconds=seconds)
    folder.mkdir(parents=True, exist_ok=True)
    file, out, log = folder / "config.json", folder / "out.jsonl", folder / "log.txt"
    file.write_text(json.dumps(config))
    began = time.monotonic()
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = subprocess.Popen(
            [*(command or [tap()]), "--config", str(file), *options],
            stdout=stdout,
            stderr=stderr,
            env=environment() | dict(env or {}),
        )
        peak = watch(process, began + seconds)
    code: int | None = process.poll()
    if code is None:
        process.kill()
        process.wait()
    return Run(code, log.read_text(), out.read_text(), folder / "spool", time.monotonic() - began, peak)


def environment() -> dict[str, str]:
    """Ours, without a proxy."""
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def watch(process: subprocess.Popen[bytes], until: float) -> float:
    """Waits for a process, and says the most resident memory that it had, in MB."""
    ended, peak = os.pidfd_open(process.pid), 0.0
    try:
        while time.monotonic() < until:
            peak = max(peak, _high_water(process.pid))
            if select.select([ended], [], [], 0.02)[0]:
                process.wait()
                return peak
    finally:
        os.close(ended)
    return peak


def _high_water(pid: int) -> float:
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def in_order(found: Iterable[Row]) -> list[Row]:
    return sorted(found, key=lambda row: (row["id"] is not None, row["id"], str(row)))


def bounded(run: Run, seconds: float = SECONDS, mb: float = MB) -> None:
    """The run ended by itself, in time, within its memory, and without a traceback."""
    assert run.code is not None, f"still running after {run.seconds:.0f} s: {run.log[-3000:]}"
    assert "Traceback" not in run.log, run.log
    assert run.seconds < seconds, f"{run.seconds:.1f} s: {run.log[-3000:]}"
    assert run.peak_mb < mb, f"{run.peak_mb:.0f} MB: {run.log[-3000:]}"


def whole(run: Run, *states: Iterable[Row], total: bool = True) -> list[Row]:
    """The load is complete, and holds exactly what the server held at one time; returns that."""
    assert run.code == ENDED, run.log
    document, staged = run.document(), in_order(run.staged())
    possible = [in_order(map(stored, state)) for state in states]
    assert staged in possible, difference(staged, possible[-1])
    assert document["rows"] == len(staged)
    assert document["source_rows"] == (len(staged) if total else None)
    return staged


def difference(found: list[Row], wanted: list[Row]) -> str:
    """Which ids are missing, too many or other, in words."""
    ids, other = [row["id"] for row in found], {row["id"]: row for row in wanted}
    doubled = sorted({each for each in ids if ids.count(each) > 1}) if len(ids) < 5_000 else "?"
    changed = [row["id"] for row in found if row["id"] in other and row != other[row["id"]]]
    missing, surplus = sorted(other.keys() - set(ids)), sorted(set(ids) - other.keys())
    return f"{len(found)} rows for {len(wanted)}: missing {missing}, surplus {surplus}, doubled {doubled}, other {changed}"


def refused(run: Run, *words: str, code: int = REFUSED) -> None:
    """The run says what is wrong in these words (in any case), and leaves no load."""
    assert run.code == code, f"exit {run.code}: {run.log}"
    assert not run.documents()
    assert not run.sent("BATCH")
    missing = [word for word in words if not re.search(word, run.log, re.IGNORECASE)]
    assert not missing, f"{missing} not in: {run.log}"


def traces(secret: str, *more: str) -> set[str]:
    """What would betray a secret: itself, as a URL holds it, and `more` (a pair with a colon, say) in base64."""
    plain = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    coded = {base64.b64encode(text.encode()).decode() for text in more}
    return plain | coded


def betrayed(text: str, secrets: Iterable[str]) -> list[str]:
    return [secret for secret in secrets if secret in text]
