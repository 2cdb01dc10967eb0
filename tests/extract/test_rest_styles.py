"""Every paging style and response style of tap-rest-api-msdk, beside the published tap 1.4.2 where that works.

One server speaks them all. Where the published tap fails (both styles of link headers, and hateoas), the style does what its
README says.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_kit import runs
from api_kit.beside import AS_PUBLISHED, PLAIN, ours, plain, published, same_records
from api_kit.runs import PUBLISHED, settings, stream
from api_kit.server import Api, Reply, Request, Serve
from api_kit.styles import IN_OTHER_WORDS, PAGE, STYLES
from api_kit.table import Row, Table, rows

from tap_rest_api_msdk import config as tap_config

OF_THE_SDK = {
    "stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth", "batch_config",
}  # fmt: skip
FAIL_WHEN_PUBLISHED = {"header_link", "restapi_header_link", "hateoas"}


def titles(*without: str) -> list[str]:
    return [name for name in STYLES if name not in without]


@pytest.mark.parametrize("name", STYLES)
def test_a_style_reads_every_record_into_parts(name: str, tmp_path: Path) -> None:
    held, style = Table(rows(35)), STYLES[name]
    with Api(style.serve(held)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", style=name, total_path=total_of(name)))
    runs.bounded(run)
    runs.whole(run, *held.states, total=total_of(name) is not None)


def total_of(name: str) -> str | None:
    """Where the total is; a bare list has none."""
    return None if name == "restapi_header_link" else "$.total"


ENDS = [(name, count) for name in STYLES for count in (0, PAGE)]
ENDS += [
    (name, count) for name in ("offset", "page_number", "jsonpath", "header_link") for count in (1, PAGE - 1, PAGE + 1, 3 * PAGE)
]


@pytest.mark.parametrize(("name", "count"), ENDS)
def test_a_style_ends_where_the_records_end_without_a_total(name: str, count: int, tmp_path: Path) -> None:
    held = Table(rows(count))
    with Api(STYLES[name].serve(held, total=False)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", style=name, total_path=None))
    runs.bounded(run)
    runs.whole(run, *held.states, total=False)
    assert len(api.requests) <= count // PAGE + 3


@pytest.mark.parametrize("name", titles(*FAIL_WHEN_PUBLISHED))
def test_a_style_sends_the_records_that_the_published_tap_sends(name: str, tmp_path: Path) -> None:
    more = {"next_page_token_path": "$"} if name in ("offset", "style1") else {}
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES[name].serve(Table(rows(35)))) as api:
        config = settings(api.url, None, things, style=name, **{**AS_PUBLISHED, **more})
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    assert len(left.records()) == 35


def test_parameters_and_total_may_have_names_of_their_own_as_published(tmp_path: Path) -> None:
    held, things = Table(rows(35)), stream(schema={"type": "object", "properties": PLAIN})
    with Api(IN_OTHER_WORDS.serve(held)) as api:
        given = {"total_path": None, **IN_OTHER_WORDS.settings}
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **given))
        asked = [request.query for request in api.requests]
        config = settings(api.url, None, things, **{**given, **AS_PUBLISHED})
        left, right = ours(tmp_path, config), published(tmp_path, config)
    runs.bounded(run)
    runs.whole(run, *held.states)
    assert {"from": "10", "count": "10"} in asked
    same_records(left, right)
    assert len(left.records()) == 35


@pytest.mark.parametrize("name", sorted(FAIL_WHEN_PUBLISHED))
def test_where_the_published_tap_fails_the_style_does_what_its_readme_says(name: str, tmp_path: Path) -> None:
    held = Table(rows(35))
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES[name].serve(held), budget=200) as api:
        config = settings(api.url, None, things, style=name, **AS_PUBLISHED)
        left = ours(tmp_path, config)
        asked = len(api.requests)
        right = published(tmp_path, config, seconds=20)
    assert left.code == 0, left.log
    assert [plain(record) for record in left.records()] == [plain(record) for record in held.rows]
    assert asked == 4
    assert right.code != 0 or len(right.records()) != 35, "the published tap works now: compare with it"


def test_the_defaults_are_the_published_ones(tmp_path: Path) -> None:
    """No paging setting at all: `$[*]`, `$.next_page`, `page`."""
    held = Table(rows(35))

    def bare(request: Request) -> Reply:
        return Reply(held.rows, start=0)

    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(bare) as api:
        config = {"api_url": api.url, "streams": [things]}
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    assert len(left.records()) == 35


def test_every_setting_of_the_published_tap_is_declared_and_has_its_default(tmp_path: Path) -> None:
    """Both taps say themselves what they take; meltano.yml declares it, but for what Meltano declares by itself."""
    about = {
        name: json.loads(
            subprocess.run([program, "--about", "--format=json"], capture_output=True, check=True, cwd=tmp_path).stdout
        )["settings"]["properties"]
        for name, program in {"published": str(PUBLISHED), "ours": runs.tap()}.items()
    }
    own = {name for name in about["published"] if name not in OF_THE_SDK}
    assert len(own) == 43
    assert own <= about["ours"].keys()
    plugins = yaml.safe_load((runs.ROOT / "meltano.yml").read_text())["plugins"]["extractors"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "tap-rest-api-msdk"]
    assert own <= {setting["name"] for setting in ours["settings"]}
    defaults = {name: about["published"][name]["default"] for name in own if about["published"][name].get("default") is not None}
    bare = {"api_url": "http://127.0.0.1", "streams": [stream()]}
    stated = bare | {name: value for name, value in defaults.items() if name != "pagination_initial_offset"}  # see below
    assert len(defaults) == 12
    assert tap_config.parse(stated).streams == tap_config.parse(bare).streams
    assert tap_config.parse(stated).patience == tap_config.parse(bare).patience


def test_the_first_offset_is_1_unless_it_is_set(tmp_path: Path) -> None:
    """As published; where that leaves a record out, the total tells, and the load is refused by the setting's name."""
    held = Table(rows(35))
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES["offset"].serve(held)) as api:
        unset = {"pagination_initial_offset": None, "next_page_token_path": "$"}
        right = published(tmp_path, settings(api.url, None, things, **{**AS_PUBLISHED, **unset}))
        left = runs.run(tmp_path / "ours", settings(api.url, tmp_path / "ours/spool", pagination_initial_offset=None))
    assert [record["id"] for record in right.records()] == list(range(2, 36))
    runs.bounded(left)
    runs.refused(left, "pagination_initial_offset")


NESTED: list[Row] = [
    {
        "id": number,
        "address": {"city": f"cidade {number}", "geo": {"lat": number / 2, "long-name": "x"}},
        "tags": ["a", {"b": number}],
        "first.name": "Ana",
        "last-name": None,
        "ok": number % 2 == 0,
        "empty": {},
    }
    for number in range(1, 26)
]
KEPT = {"except_keys": ["address_geo"]}  # of the stream: the published tap does not look at that of the whole tap


def pages_of(held: list[Row]) -> Serve:
    def answer(request: Request) -> Reply:
        start = int(request.parameters.get("page", "from-0").removeprefix("from-"))
        behind = start + PAGE
        following = f"from-{behind}" if behind < len(held) else None
        return Reply({"data": held[start:behind], "next_page": following}, start=start)

    return answer


@pytest.mark.parametrize(
    "more",
    [{}, KEPT, {"except_keys": ["address"]}, {"store_raw_json_message": True}],
    ids=["plain", "kept at depth", "kept", "raw"],
)
def test_a_stream_without_a_schema_is_inferred_and_flattened_as_published(more: dict[str, Any], tmp_path: Path) -> None:
    things = stream(schema=None, **{name: value for name, value in more.items() if name == "except_keys"})
    with Api(pages_of(NESTED)) as api:
        config = settings(api.url, None, things, style="default", **AS_PUBLISHED, **({} if "except_keys" in more else more))
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    [ours_schema], [published_schema] = left.sent("SCHEMA"), right.sent("SCHEMA")
    assert set(ours_schema["schema"]["properties"]) == set(published_schema["schema"]["properties"])
    assert "address_city" in left.records()[0] or "address" in left.records()[0]
    assert len(left.records()) == 25


def test_an_inferred_stream_is_typed_in_parts_and_the_load_says_so(tmp_path: Path) -> None:
    with Api(pages_of(NESTED)) as api:
        config = settings(api.url, tmp_path / "spool", stream(schema=None), style="default", total_path=None)
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    staged = runs.in_order(run.staged())
    assert [row["id"] for row in staged] == list(range(1, 26))
    assert [row["address_city"] for row in staged] == [f"cidade {number}" for number in range(1, 26)]
    assert [row["address_geo_lat"] for row in staged] == [number / 2 for number in range(1, 26)]
    assert [row["ok"] for row in staged] == [number % 2 == 0 for number in range(1, 26)]
    assert json.loads(staged[0]["tags"]) == ["a", {"b": 1}]
    assert any("infer" in note for note in run.document()["notes"]), run.document()["notes"]


def test_num_inference_records_bounds_what_the_schema_is_made_of(tmp_path: Path) -> None:
    """A field that comes later than that is drift: it becomes a column, and the load says so."""
    held = [{"id": number, **({"late": "x"} if number > 8 else {})} for number in range(1, 26)]
    with Api(pages_of(held)) as api:
        config = settings(
            api.url, tmp_path / "spool", stream(schema=None), style="default", total_path=None, num_inference_records=5
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [row["late"] for row in runs.in_order(run.staged())] == [None] * 8 + ["x"] * 17
    assert [(each["field"], each["became"]) for each in run.document()["drift"]] == [("late", "column")]


def test_a_nested_record_fits_flat_columns_that_are_declared(tmp_path: Path) -> None:
    columns = {
        "id": {"type": ["integer"], "x-sql-datatype": "int"},
        "address_city": {"type": ["string"]},
        "address_geo": {"type": ["object", "null"]},
        "tags": {"type": ["array", "null"]},
        "first_name": {"type": ["string"]},
        "last_name": {"type": ["string", "null"]},
        "ok": {"type": ["boolean"]},
    }
    held = [{name: value for name, value in row.items() if name != "empty"} for row in NESTED]
    with Api(pages_of(held)) as api:
        config = settings(
            api.url, tmp_path / "spool", stream(schema={"properties": columns}), style="default", total_path=None,
            except_keys=["address_geo"],
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    row = runs.in_order(run.staged())[1]
    assert (row["address_city"], row["first_name"], row["last_name"], row["ok"]) == ("cidade 2", "Ana", None, True)
    assert json.loads(row["address_geo"]) == {"lat": 1.0, "long-name": "x"}
    assert json.loads(row["tags"]) == ["a", {"b": 2}]


def test_a_nested_column_that_is_declared_keeps_its_object(tmp_path: Path) -> None:
    columns = {"id": {"type": ["integer"], "x-sql-datatype": "int"}, "address": {"type": ["object", "null"]}}
    held = [{name: row[name] for name in ("id", "address")} for row in NESTED]
    with Api(pages_of(held)) as api:
        config = settings(api.url, tmp_path / "spool", stream(schema={"properties": columns}), style="default", total_path=None)
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [json.loads(row["address"]) for row in runs.in_order(run.staged())] == [row["address"] for row in NESTED]


def test_parameters_may_be_in_the_body(tmp_path: Path) -> None:
    """A GET with a JSON body, as published; nothing of it in the address."""
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES["offset"].serve(Table(rows(35)))) as api:
        config = settings(
            api.url, None, things,
            **{**AS_PUBLISHED, "next_page_token_path": "$", "use_request_body_not_params": True, "params": {"kind": "a"}},
        )  # fmt: skip
        left = ours(tmp_path, config)
        asked = list(api.requests)
        right = published(tmp_path, config)
    same_records(left, right)
    assert all(request.method == "GET" and not request.query for request in asked)
    assert all(json.loads(request.body)["kind"] == "a" for request in asked)
    assert {json.loads(request.body).get("offset", 0) for request in asked} >= {0, 10, 20, 30}


def test_a_limit_on_results_is_kept(tmp_path: Path) -> None:
    """As the README says: it restricts the total number of records; the load says that it did."""
    with Api(STYLES["restapi_header_link"].serve(Table(rows(95)))) as api:
        config = settings(
            api.url, tmp_path / "spool", style="restapi_header_link", total_path=None, pagination_results_limit=30
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [row["id"] for row in runs.in_order(run.staged())] == list(range(1, 31))
    assert any("pagination_results_limit" in note for note in run.document()["notes"])
    assert len(api.requests) <= 4


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
def test_the_new_records_are_asked_for_as_published(batch: bool, tmp_path: Path) -> None:
    held = Table(rows(35))

    def since(request: Request) -> Reply:
        text = request.query.get("changed", "").removeprefix("gt:")
        newer = Table([row for row in held.rows if row["at"] > text])
        return STYLES["offset"].serve(newer)(request)

    more = {
        "replication_key": "at",
        "source_search_field": "changed",
        "source_search_query": "gt:$last_run_date",
    }
    start = {"start_date": "2026-01-01T20:00:00Z"}
    time = {**PLAIN, "at": {"type": ["string"], "format": "date-time", "x-sql-datatype": "datetime2"}}
    things = stream(schema={"type": "object", "properties": time}, **more)
    with Api(since) as api:
        if batch:
            run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", things, **start))
            assert run.code == 0, run.log
            assert [row["id"] for row in runs.in_order(run.staged())] == list(range(21, 36))
            return
        config = settings(api.url, None, things, **{**AS_PUBLISHED, "next_page_token_path": "$"}, **start)
        left = ours(tmp_path, config)
        asked = {request.query["changed"] for request in api.requests}
        count = len(api.requests)
        right = published(tmp_path, config)
        others = {request.query["changed"] for request in api.requests[count:]}
    assert [record["id"] for record in left.records()] == [record["id"] for record in right.records()] == list(range(21, 36))
    assert others == {"gt:2026-01-01T20:00:00"}
    assert asked == {"gt:2026-01-01T20:00:00Z"}, "as it was set: the published tap leaves the zone out"
