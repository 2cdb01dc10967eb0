"""The doctor of the REST tap and its plan: every finding at once, each with what to do; what a run would read and how."""

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
    return asked("--doctor", api, folder, code, **changes)


def asked(option: str, api: Counterpart, folder: Path, code: int, *more: str, **changes: Any) -> list[dict[str, Any]]:
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
    done = subprocess.run([TAP, "--config", str(file), option, *more, "--json"], env=os.environ, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert api.secret not in done.stdout + done.stderr
    return list(json.loads(done.stdout))


def test_all_is_well(api: Counterpart, tmp_path: Path) -> None:
    found = {each["name"]: each for each in findings(api, tmp_path, 0)}
    assert {name: each["status"] for name, each in found.items()} == {
        "network": "ok", "TLS": "warning", "login": "ok", "clock": "ok", "Orders": "ok",
    }  # fmt: skip
    assert "records on the first page" in found["Orders"]["text"] and "in all" in found["Orders"]["text"]


def test_whoever_asks_for_the_login_alone_hears_nothing_of_what_comes_behind_it(api: Counterpart, tmp_path: Path) -> None:
    assert [each["name"] for each in asked("--doctor", api, tmp_path, 0, "--login")] == ["network", "TLS", "login"]
    assert [each["status"] for each in asked("--doctor", api, tmp_path, 3, "--login", password="wrong")][-1] == "failed"


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


SCHEMA = {"properties": {"SalesOrderID": {"type": "integer"}, "ModifiedDate": {"type": "string", "format": "date-time"}}}
KEYED = {"primary_keys": ["SalesOrderID"], "schema": SCHEMA, "records_path": "$.data[*]", "total_path": "$.total"}


def test_the_plan_says_how_each_stream_is_read_from_its_bookmark_on(api: Counterpart, tmp_path: Path) -> None:
    """Whole, from a bookmark, without keys, without a total, and for each record of another one."""
    streams = [
        {"name": "Whole", "path": "/SalesOrderHeader", **KEYED},
        {"name": "New", "path": "/SalesOrderHeader", "replication_key": "ModifiedDate", **KEYED},
        {"name": "Keyless", "path": "/SalesOrderHeader", **KEYED, "primary_keys": []},
        {"name": "Lines", "path": "/SalesOrderHeader/{SalesOrderID}/lines", **KEYED, "parent": "Whole"},
    ]
    mark = {"replication_key": "ModifiedDate", "replication_key_value": "2014-01-01T00:00:00.000000Z"}
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"bookmarks": {"New": mark}}))
    steps = asked("--plan", api, tmp_path, 0, "--state", str(state), streams=streams, pagination_page_size=100)
    whole, new, keyless, lines = steps
    assert (whole["mode"], whole["bookmark"], whole["pages_by"]) == ("overwrite", None, "offset, 100 a page")
    assert whole["records"] > 300 and whole["pages"] == -(-whole["records"] // 100)
    assert (new["mode"], new["bookmark"]) == ("merge", "2014-01-01T00:00:00.000000Z")
    assert keyless["mode"] == "overwrite" and "gaps between pages" in keyless["warnings"][0]
    assert lines["mode"] is None and lines["warnings"] == ["is read for each record of Whole"]
    unknown = asked("--plan", api, tmp_path, 0, streams=[{**streams[0], "total_path": ""}])
    assert (unknown[0]["records"], unknown[0]["pages"]) == (None, None)


def test_an_api_that_lets_nobody_in_is_told_once_and_a_stream_that_fails_stops_no_other(api: Counterpart, tmp_path: Path) -> None:
    streams = [{"name": name, "path": path, **KEYED} for name, path in (("Nope", "/nope"), ("Whole", "/SalesOrderHeader"))]
    nope, whole = asked("--plan", api, tmp_path, 3, streams=streams)
    assert "404" in nope["problem"] and whole["mode"] == "overwrite"
    first, second = asked("--plan", api, tmp_path, 3, streams=streams[::-1], password="wrong")
    assert "401" in first["problem"] and second["problem"] == "as the stream before"
