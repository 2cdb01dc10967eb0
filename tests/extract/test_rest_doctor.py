"""The doctor of the REST tap: every finding at once, each with what to do; the counterparts together are in tests/chain."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.launch import ROOT, Counterpart, counterpart

TAP = ROOT / ".venvs/test/bin/tap-rest-api-msdk"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("api", tmp_path_factory.mktemp("api"), "--scale", "0.01") as running:
        yield running


def findings(api: Counterpart, folder: Path, code: int, **changes: Any) -> list[dict[str, str]]:
    stream = {"name": "Orders", "path": "/SalesOrderHeader", "records_path": "$.data[*]", "total_path": "$.total"}
    given = {
        "api_url": api.facts["url"],
        "auth_method": "basic",
        "username": "reader",
        "password": api.secret,
        "streams": [stream],
        "pagination_request_style": "offset_paginator",
    }
    file = folder / "config.json"
    file.write_text(json.dumps(given | changes))
    done = subprocess.run([TAP, "--config", str(file), "--doctor", "--json"], env=os.environ, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert api.secret not in done.stdout + done.stderr
    return list(json.loads(done.stdout))


def test_all_is_well(api: Counterpart, tmp_path: Path) -> None:
    found = {each["name"]: each for each in findings(api, tmp_path, 0)}
    assert {name: each["status"] for name, each in found.items()} == {
        "network": "ok", "TLS": "warning", "login": "ok", "clock": "ok", "Orders": "ok",
    }  # fmt: skip
    assert "records on the first page" in found["Orders"]["text"] and "in all" in found["Orders"]["text"]


@pytest.mark.parametrize(
    ("changes", "failed", "text"),
    [
        ({"api_url": "http://127.0.0.1:9"}, "network", "port 9"),
        ({"api_url": "http://nosuch.invalid"}, "network", "nosuch.invalid"),
        ({"password": "wrong"}, "login", "401"),
        ({"streams": [{"name": "Nope", "path": "/nope", "records_path": "$.data[*]", "total_path": "$.total"}]}, "Nope", "404"),
        (
            {"total_path": "$.nope", "records_path": "$.nope[*]", "streams": [{"name": "Odd", "path": "/SalesOrderHeader"}]},
            "Odd",
            "$.nope",
        ),
    ],
)
def test_what_failed_is_named_with_what_to_do(
    changes: dict[str, Any], failed: str, text: str, api: Counterpart, tmp_path: Path
) -> None:
    found = findings(api, tmp_path, 3, **changes)
    [bad] = [each for each in found if each["status"] == "failed"]
    assert bad["name"] == failed and text in bad["text"], bad
