"""The API counterpart: what it serves is what the tables hold, and it refuses what a real one refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.adventureworks.orders import order_tables

ROOT = Path(__file__).resolve().parents[2]

SCALE, CAP = 0.01, 50


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a counterpart; stopped with SIGTERM, which must be clean."""
    ready = tmp_path_factory.mktemp("api") / "ready.json"
    command = [str(ROOT / ".venvs/sandbox/bin/python"), "-m", "sandbox.api", "--ready", str(ready)]
    server = subprocess.Popen(
        [*command, "--scale", str(SCALE), "--max-page-size", str(CAP)],
        cwd=ROOT,
        env={**os.environ, "SANDBOX_USER": "ana", "SANDBOX_PASSWORD": "s3nha-ç"},
    )
    while not ready.exists() and server.poll() is None:
        time.sleep(0.05)
    yield json.loads(ready.read_text())["url"]
    server.send_signal(signal.SIGTERM)
    assert server.wait(10) == 0


def get(address: str, password: str = "s3nha-ç") -> tuple[int, Any]:
    """Status and JSON of an answer; numbers with a point as Decimal."""
    login = b64encode(f"ana:{password}".encode()).decode()
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read(), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("table", order_tables(SCALE))
def test_pages_hold_every_record_with_exact_values(url: str, table: str) -> None:
    records: list[dict[str, Any]] = []
    total = 1
    while len(records) < total:
        _, page = get(f"{url}/{table}?offset={len(records)}&limit=1000")
        assert 0 < len(page["data"]) <= CAP
        total = page["total"]
        records += page["data"]
    expected = order_tables(SCALE)[table].to_pylist()
    assert records == [{k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in record.items()} for record in expected]


def test_a_page_beyond_the_end_is_empty(url: str) -> None:
    status, page = get(f"{url}/PurchaseOrderHeader?offset=1000000&limit=5")
    assert (status, page["data"], page["offset"]) == (200, [], 1000000)


def test_refusals(url: str) -> None:
    assert get(f"{url}/SalesOrderHeader", password="x")[0] == 401
    assert get(f"{url}/Nothing")[0] == 404
    for query in ("offset=-1", "offset=x", "limit=0", "limit=1.5"):
        assert get(f"{url}/SalesOrderHeader?{query}")[0] == 400
    assert get(f"{url}/health", password="x")[0] == 200
