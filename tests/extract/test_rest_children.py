"""Child streams of tap-rest-api-msdk: read for each record of their parent, in BATCH and RECORD output alike."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from api_kit import runs
from api_kit.runs import settings
from api_kit.spool import ids, staged
from test_rest_honesty import Answer, api, documents, page, sync

from singer_arrow.errors import Failure, SomeFailed
from tap_rest_api_msdk.errors import ApiUnavailable

Query = dict[str, list[str]]


LINES = {
    "name": "lines",
    "path": "orders/{id}/lines",
    "parent": "orders",
    "primary_keys": ["order", "line"],
    "schema": {"properties": {"order": {"type": "integer"}, "line": {"type": "integer"}}},
}
ORDERS = {"name": "orders", "path": "orders", "primary_keys": ["id"], "schema": {"properties": {"id": {"type": "integer"}}}}

CHOSEN = [{"breadcrumb": [], "metadata": {"selected": True}}]


def family(n: int, query: Query, path: str) -> Answer:
    """Orders 1 to 12, each with as many lines as its number."""
    if path == "/orders":
        return page(query, [{"id": order} for order in range(1, 13)], total=12)
    if not path.startswith("/orders/"):
        return 404, {}, {}
    order = int(path.split("/")[2])
    return page(query, [{"order": order, "line": line} for line in range(order)], total=order)


def test_a_child_stream_is_read_for_each_record_of_its_parent(tmp_path: Path) -> None:
    with api(family) as url:
        sync(url, tmp_path, streams=[ORDERS, LINES])
    assert [(row["order"], row["line"]) for row in staged(tmp_path, "lines")] == [(o, n) for o in range(1, 13) for n in range(o)]
    [document] = [each for each in documents(tmp_path) if each["stream"] == "lines"]
    assert (document["rows"], document["source_rows"]) == (78, 78)


def of_family(url: str, spool: Path | None = None, **changed: Any) -> dict[str, Any]:
    """A configuration of orders and their lines: BATCH output with a spool, RECORD output without."""
    return settings(url, spool, *changed.pop("streams", (ORDERS, LINES)), pagination_page_size=5, **changed)


def test_a_child_stream_is_the_same_as_records(tmp_path: Path) -> None:
    """The SDK would read streams by their names, and `lines` in front of `orders`."""
    with api(family) as url:
        parts = runs.run(tmp_path / "b", of_family(url, tmp_path / "b/spool"))
        records = runs.run(tmp_path / "r", of_family(url))
    for run in (parts, records):
        assert run.code == runs.ENDED, run.log
    assert records.records("lines") == parts.staged("lines") == [{"order": o, "line": n} for o in range(1, 13) for n in range(o)]
    assert records.records("orders") == parts.staged("orders")
    assert records.messages[-1]["value"].get("currently_syncing") is None


def test_the_sdks_own_test_of_a_configuration_tries_the_parents_and_passes(tmp_path: Path) -> None:
    """`--test` stops behind the first record of each stream; a child is read of a whole parent only."""
    with api(family) as url:
        (tmp_path / "config.json").write_text(json.dumps(of_family(url)))
        tried = subprocess.run(
            [runs.tap(), "--config", str(tmp_path / "config.json"), "--test"], capture_output=True, text=True, check=False
        )
    assert tried.returncode == 0, tried.stderr
    sent = [json.loads(line) for line in tried.stdout.splitlines()]
    assert [each["record"] for each in sent if each["type"] == "RECORD"] == [{"id": 1}]


def test_a_child_stream_without_its_whole_parent_sends_no_record(tmp_path: Path) -> None:
    def cut(n: int, query: Query, path: str) -> Answer:
        return (503, {}, {}) if path == "/orders" and query["offset"] != ["0"] else family(n, query, path)

    broken = {"backoff_max_seconds": 0}
    with api(cut) as url:
        failed = runs.run(tmp_path / "failed", of_family(url, **broken))
    with api(family) as url:
        many = runs.run(tmp_path / "many", of_family(url, max_children=5))
        alone = {"streams": [{"tap_stream_id": "lines", "stream": "lines", "schema": LINES["schema"], "metadata": CHOSEN}]}
        (tmp_path / "catalog.json").write_text(json.dumps(alone))
        orphan = runs.run(tmp_path / "orphan", of_family(url), "--catalog", str(tmp_path / "catalog.json"))
    assert failed.code == runs.REFUSED and 0 < len(failed.records("orders")) < 12, failed.log
    assert many.code == runs.REFUSED and "more than 5 records" in many.log and "raise max_children" in many.log, many.log
    assert len(many.records("orders")) == 12, "the parent itself is whole"
    assert orphan.code == 2 and "its parent orders was not read in this run" in orphan.log, orphan.log
    for run in (failed, many, orphan):
        assert not run.records("lines") and "Traceback" not in run.log


def test_a_parent_that_goes_on_behind_what_it_kept_gives_its_children_all_of_its_records(tmp_path: Path) -> None:
    is_well = False

    def cut(n: int, query: Query, path: str) -> Answer:
        return family(n, query, path) if is_well or query["offset"] == ["0"] else (503, {}, {})

    with api(cut) as url:
        with pytest.raises(ApiUnavailable, match="10 rows of this stream are kept"):
            sync(url, tmp_path, streams=[ORDERS, LINES], backoff_max_seconds=0)
        is_well = True
        sync(url, tmp_path, streams=[ORDERS, LINES])
    assert ids(tmp_path, "orders") == list(range(1, 13))
    assert [(row["order"], row["line"]) for row in staged(tmp_path, "lines")] == [(o, n) for o in range(1, 13) for n in range(o)]


def test_a_child_stream_without_a_schema_has_it_inferred_from_the_first_record_of_its_parent(tmp_path: Path) -> None:
    """Discovery, which Meltano does first, reads no whole parent."""
    without = {name: value for name, value in LINES.items() if name != "schema"}
    with api(family) as url:
        found = runs.run(tmp_path, of_family(url, streams=(ORDERS, without)), "--discover")
    assert found.code == runs.ENDED, found.log
    [lines] = [each for each in json.loads(found.output)["streams"] if each["stream"] == "lines"]
    assert [*lines["schema"]["properties"]] == ["order", "line"]


def test_a_child_stream_is_refused_alone_where_its_parent_failed_or_has_too_many_records(tmp_path: Path) -> None:
    with api(family) as url:
        with pytest.raises(SomeFailed, match=r"1 of 2 streams failed:\n.*more than 5 records.*raise max_children"):
            sync(url, tmp_path / "many", streams=[ORDERS, LINES], max_children=5)
        assert [each["stream"] for each in documents(tmp_path / "many")] == ["orders"]
        with pytest.raises(Failure, match="its parent orders was not read in this run"):
            sync(url, tmp_path / "lost", streams=[ORDERS | {"path": "nowhere/x"}, LINES])


def of_values(asked: list[tuple[str, Any]], parents: list[dict[str, Any]]) -> Any:
    """An API of parents, which keeps what is asked of their children."""

    def serve(n: int, query: Query, path: str) -> Answer:
        if path == "/parents":
            return page(query, parents, total=len(parents))
        asked.append((path, query.get("of")))
        return page(query, [], total=0)

    return serve


TEXT = {"type": ["string", "null"]}
PARENTS = {
    "name": "parents",
    "path": "parents",
    "primary_keys": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "a": TEXT, "b": TEXT, "c": {**TEXT, "contentEncoding": "base64"}}},
}
OF_PARENTS = {
    "name": "children",
    "path": "of/{a}/{c}.json",
    "params": {"of": "{a}-{b}"},
    "parent": "parents",
    "primary_keys": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}}},
}


def test_a_parents_value_stands_in_the_address_as_it_is_whatever_it_holds(tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []
    rows = [{"id": 1, "a": "{b}", "b": "x/y", "c": "+/8="}, {"id": 2, "a": "a/..?#", "b": "{a}", "c": ""}]
    with api(of_values(asked, rows)) as url:
        sync(url, tmp_path, streams=[PARENTS, OF_PARENTS])
    assert set(dict(asked)) == {"/of/%7Bb%7D/%2B%2F8%3D.json", "/of/a%2F..%3F%23/.json"}
    assert [each for _, each in sorted(asked)] == [["{b}-x/y"]] * 2 + [["a/..?#-{a}"]] * 2


@pytest.mark.parametrize("odd", ["", ".", ".."])
def test_a_parents_value_that_would_lead_to_another_address_is_refused_by_name(odd: str, tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []
    rows = [{"id": 1, "a": "x", "b": "", "c": ""}, {"id": 2, "a": odd, "b": "", "c": ""}]
    told = rf"a record of its parent parents has '{re.escape(odd)}' for \{{a\}} of its path"
    with api(of_values(asked, rows)) as url, pytest.raises(SomeFailed, match=told):
        sync(url, tmp_path, streams=[PARENTS, OF_PARENTS])
    assert [each["stream"] for each in documents(tmp_path)] == ["parents"]
    assert {path for path, _ in asked} == {"/of/x/.json"}
