"""Small promises of tap-rest-api-msdk that need no API."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from singer_arrow.records import RecordDecoder
from tap_rest_api_msdk import bookmarks, envelope, jsonpaths, retry, schemas
from tap_rest_api_msdk.config import problems_and_config

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}}
CONFIG = {
    "api_url": "https://api.example.com/v1/",
    "pagination_request_style": "offset_paginator",
    "pagination_response_style": "offset",
    "streams": [{"name": "things", "path": "things", "schema": SCHEMA}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$[*]", []),
        ("$.data[*]", ["data"]),
        ("$.a['b c'][*]", ["a", "b c"]),
        ("$.data", None),
        ("$..data[*]", None),
        ("$.data[0][*]", None),
    ],
)
def test_plain_list_paths_are_told_from_clever_ones(path: str, found: list[str] | None) -> None:
    assert jsonpaths.list_steps(path) == found


@pytest.mark.parametrize(
    ("records_path", "total_path", "body"),
    [
        ("$[*]", None, b'[{"id":1},{"id":2}]'),
        ("$.data[*]", "$.total", b'{"x":{"data":0},"data":[{"id":1},{"id":2}],"total":7}'),
        ("$.data.rows[*]", "$.data.count", b'{"data":{"rows":[{"id":1},{"id":2}],"count":7}}'),
        ("$.data[*]", "$.page.total", b'{"page":{"total":"7","n":1},"data":[{"id":1},{"id":2}]}'),
        ("$.list[*].item", "$.total", b'{"list":[{"item":{"id":1}},{"item":{"id":2}}],"total":7}'),
        ("$.data[*]", "$.page.total", b'{"data":[{"id":1},{"id":2}]}'),
    ],
)
def test_records_and_total_are_found(records_path: str, total_path: str | None, body: bytes) -> None:
    decoder = RecordDecoder("s", pa.schema([("id", pa.int32())]))
    answer = envelope.reader(decoder, records_path, total_path)(body)
    assert decoder.batch(answer.records).to_pydict() == {"id": [1, 2]}
    assert answer.total == (7 if b"7" in body else None)


def test_retry_after_as_seconds_and_as_date() -> None:
    now = datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC)
    assert retry.told_to_wait("7") == 7
    assert retry.told_to_wait("Tue, 24 Nov 2026 16:00:30 GMT", now) == 30
    assert retry.told_to_wait("Tue, 24 Nov 2026 15:00:30 GMT", now) == 0
    assert retry.told_to_wait("soon") is None
    assert retry.told_to_wait(None) is None


def test_waits_double_and_stay_bounded() -> None:
    assert all(0.12 <= retry.backoff(1) <= 0.25 for _ in range(50))
    assert all(retry.backoff(n) <= retry.LONGEST_WAIT for n in range(1, 100))


def test_a_bookmark_never_goes_back() -> None:
    assert bookmarks.later(pa.int32(), "9", "10") == "10"
    assert bookmarks.later(pa.timestamp("us"), "2026-01-02T00:00:00.000000", "2026-01-01T00:00:00.000000")[9] == "2"
    assert bookmarks.later(pa.int32(), "9", None) == "9"
    assert bookmarks.query_text("2026-01-01T00:00:00.000000") == "2026-01-01T00:00:00"
    assert bookmarks.query_text("2026-01-01T00:00:00.500000Z") == "2026-01-01T00:00:00.500000Z"


def test_columns_are_nullable_only_where_the_schema_says_so() -> None:
    assert not schemas.nullable({"type": "integer"})
    assert schemas.nullable({"type": ["integer", "null"]})
    assert schemas.nullable({"anyOf": [{"type": "integer"}, {"type": "null"}]})


def test_a_plain_configuration_has_no_problem() -> None:
    problems, config = problems_and_config(CONFIG)
    assert (problems, config and config.api_url) == ([], "https://api.example.com/v1")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"client_secret": "x"}, "client_secret: this tap does not have it (OAuth)"),
        ({"store_raw_json_message": True}, "store_raw_json_message"),
        ({"pagination_request_style": "hateoas_paginator"}, "pagination_request_style: 'hateoas_paginator'"),
        ({"pagination_response_style": "page"}, "pagination_response_style: 'page'"),
        ({"auth_method": "aws"}, "auth_method: 'aws'"),
        ({"auth_method": "basic", "username": "u"}, "password: needed by auth_method: basic"),
        ({"api_url": "https://u:p@api.example.com"}, "api_url: holds credentials"),
        ({"batch_config": {"encoding": {"format": "jsonl"}}}, "batch_config.encoding: use"),
        ({"streams": [{"name": "a"}]}, "streams[a].schema: missing"),
        ({"streams": [{"name": "a", "schema": SCHEMA, "replication_key": "at"}]}, "every run would add every record"),
        ({"streams": [{"name": "a", "schema": SCHEMA, "primary_keys": ["no"]}]}, "no column 'no'"),
        ({"streams": [{"name": "a-b", "schema": SCHEMA}, {"name": "A b", "schema": SCHEMA}]}, "share one Delta table"),
    ],
)
def test_a_problem_is_told_by_the_name_of_its_setting(change: dict[str, object], told: str) -> None:
    problems, config = problems_and_config({**CONFIG, **change})
    assert config is None
    assert any(told in problem for problem in problems), problems
