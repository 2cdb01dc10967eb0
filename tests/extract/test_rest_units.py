"""Small promises of tap-rest-api-msdk that need no API."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pytest

from singer_arrow.decoded import Decoded, joined
from singer_arrow.errors import SettingsRefused
from tap_rest_api_msdk import bookmarks, jsonpaths, retry
from tap_rest_api_msdk.client.answers import Answer
from tap_rest_api_msdk.client.pace import Pace
from tap_rest_api_msdk.config import parse
from tap_rest_api_msdk.errors import Doubled, Unreadable
from tap_rest_api_msdk.reading.identity import Identity
from tap_rest_api_msdk.reading.keys import KeyProof
from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.records.envelope import Envelope, Page
from tap_rest_api_msdk.records.singer import RecordMaker

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}}
KEYED = {"primary_keys": ["id"], "replication_key": "id"}
SEARCH = {"source_search_field": "since", "source_search_query": "gt $last_run_date"}
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
        ("$.data", ["data"]),
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
    page = Envelope(records_path, total_path, None, ()).page(Answer(200, "OK", {}, body, "https://api.example.com"))
    assert list(map(bytes, page.records)) == [b'{"id":1}', b'{"id":2}']
    assert (page.sent, page.total) == (2, 7 if b"7" in body else None)


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
    zoned, later = "2026-01-20T08:00:00+07:00", "2026-01-20T05:00:00.000000Z"  # as start_date is written, and as bookmarks are
    assert bookmarks.later(pa.timestamp("us", "UTC"), zoned, later) == later
    assert bookmarks.later(pa.date32(), "2026-01-25T10:00:00", "2026-01-25") == "2026-01-25"
    assert bookmarks.query_text("2026-01-01T00:00:00.000000") == "2026-01-01T00:00:00"
    assert bookmarks.query_text("2026-01-01T00:00:00.500000Z") == "2026-01-01T00:00:00.500000Z"


@pytest.mark.parametrize(
    ("arrow", "start", "lookback", "found"),
    [
        (pa.int64(), "11", 3.0, "8"),
        (pa.int64(), "11", 2.5, "8"),
        (pa.int64(), str(2**63 - 1), 1, str(2**63 - 2)),
        (pa.int16(), "-32767", 5, "-32768"),
        (pa.decimal128(38, 0), str(10**37 + 1), 1.0, str(10**37)),
        (pa.decimal128(9, 2), "1.00", 0.005, "0.99"),
        (pa.decimal128(9, 2), "-9999999.98", 5, "-9999999.99"),
        (pa.date32(), "0001-01-02", 10**14, "0001-01-01"),
        (pa.timestamp("us"), "0001-01-01T00:00:01.000000", 1e300, "0001-01-01T00:00:00.000000"),
        (pa.timestamp("us", "UTC"), "0001-01-01T00:00:01.500000Z", 1, "0001-01-01T00:00:00.500000Z"),
        (pa.timestamp("us"), "2026-03-01T00:00:00.000001", 0, "2026-03-01T00:00:00.000001"),
        (pa.date32(), "20260102T100000", 86400, "2026-01-01"),
        (pa.time64("ns"), "11:00:00.0000001", 3600, "10:00:00.0000001"),
        (pa.time64("us"), "10:00:00.500000", 36000.25, "00:00:00.2500000"),
        (pa.time64("ns"), "00:00:01.0000000", 2, "00:00:00.0000000"),
    ],
)
def test_a_bookmark_that_is_moved_back_is_exact_and_a_value_of_its_column(
    arrow: pa.DataType, start: str, lookback: float, found: str
) -> None:
    assert bookmarks.earlier(arrow, start, lookback) == found
    assert bookmarks.scalar(arrow, found).is_valid


def test_a_plain_configuration_has_no_problem() -> None:
    assert parse(CONFIG).api_url == "https://api.example.com/v1"
    assert parse({**CONFIG, "api_url": "api.example.com/v1"}).api_url == "https://api.example.com/v1"
    assert parse({**CONFIG, "api_url": "http://[::1]:8080"}).api_url == "http://[::1]:8080"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"auth_method": "oauth", "access_token_url": "https://login", "client_secret": "s3cret"},
            "grant_type: is missing; auth_m",
        ),
        (
            {"auth_method": "oauth", "access_token_url": "https://login", "grant_type": "password", "username": "u"},
            "password: is missing; grant_type: password needs it",
        ),
        ({"pagination_request_style": "links"}, "pagination_request_style: must be default, jsonpath_paginator,"),
        (
            {"pagination_response_style": "pages"},
            "pagination_response_style: must be default, page, offset, style1, header_link or",
        ),
        ({"ca_file": "/nowhere.pem"}, "ca_file: must be a file that exists, not '/nowhere.pem'"),
        ({"proxy": "s3cret"}, "proxy: must be an address such as http://proxy.example.com:3128"),
        ({"error_paths": ["$.[["]}, "error_paths: has $.[[, which is no JSONPath ("),
        ({"streams": [{"name": "a", "path": "/a/{id}", "schema": SCHEMA}]}, "streams[a].path: takes id from another stream"),
        (
            {"streams": [{"name": "a", "schema": SCHEMA, "parent": "b"}]},
            "streams[a].parent: must be a stream that is listed befor",
        ),
        ({"streams": [{"name": "a", "schema": SCHEMA, "lookback": 5}]}, "streams[a].lookback: reads records again, which takes"),
        ({"pagination_page_size": "many"}, "pagination_page_size: must be a whole number, not 'many'"),
        ({"pagination_page_sise": 5}, "pagination_page_sise: there is no such setting; did you mean pagination_page_size?"),
        (
            {"auth_method": "aws", "aws_credentials": {"aws_region": "r", "aws_service": "s"}},
            "aws_credentials: must have aws_access_key_id and",
        ),
        ({"auth_method": "basic", "username": "u"}, "password: is missing; auth_method: basic needs it"),
        ({"api_url": "https://u:s3cret@api.example.com"}, "api_url: holds credentials"),
        ({"api_url": "ftp://api.example.com"}, "api_url: must be the API's address, not 'ftp://api.example.com'"),
        (
            {"batch_config": {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///spool"}}},
            "batch_config.encoding: must be {format: parquet",
        ),
        ({"streams": []}, "streams: is missing; list at least one"),
        ({"streams": [{"name": "a", "schema": "{}"}]}, "streams[a].schema: must be an object with properties"),
        ({"streams": [{"path": "/a", "schema": SCHEMA}]}, "streams[0].name: is missing (for example name: Orders)"),
        (
            {"streams": [{"name": "a", "schema": SCHEMA, "paht": "x"}]},
            "streams[a].paht: there is no such setting; did you mean path?",
        ),
        ({"streams": [{"name": "a", "schema": SCHEMA, "replication_key": "at"}]}, "would add every record again"),
        ({"streams": [{"name": "a", "schema": SCHEMA, "primary_keys": ["no"]}]}, "primary_keys: names no, which is not a column"),
        ({"streams": [{"name": "a", "schema": {"properties": {"id": {"type": "intger"}}}}]}, "did you mean integer?"),
        (
            {"streams": [{"name": "a", "schema": {"properties": {"d": {"type": "number", "x-sql-datatype": "decimal(50,2)"}}}}]},
            "streams[a].schema.properties.d: has a type that cannot be: decimal(50,2): a decimal has 1 to 38 digits",
        ),
        ({"streams": [{"name": "a", "schema": SCHEMA, "records_path": "$.data[*"}]}, "records_path: must be a JSONPath ("),
        ({"total_path": "$.[["}, "total_path: must be a JSONPath ("),
        ({"start_date": "yesterday"}, "start_date: must be a date or a time such as 2026-01-01"),
        (
            {"streams": [{"name": "a", "schema": SCHEMA, "source_search_field": "since", "source_search_query": "gt:now"}]},
            "source_search_query: must hold $last_run_date",
        ),
        ({"streams": [{"name": "a", "schema": SCHEMA, "source_search_field": "since"}]}, "source_search_query: is missing"),
        (
            {"streams": [{"name": "a", "schema": SCHEMA, **SEARCH}], "use_request_body_not_params": True},
            "source_search_query: must be JSON with a value for $last_run_date",
        ),
        (
            {"streams": [{"name": "a", "schema": SCHEMA, **KEYED}], "start_date": "2026-01-01"},
            "streams[a].start_date: is not a value of the replication_key id, which is int64; set start_date only in the streams",
        ),
        ({"streams": [{"name": "a-b", "schema": SCHEMA}, {"name": "A b", "schema": SCHEMA}]}, "share one Delta table"),
    ],
)
def test_a_problem_is_told_by_the_name_of_its_setting(change: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        parse({**CONFIG, **change})
    assert len(refused.value.problems) == 1, refused.value
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_problems_of_all_streams_are_told_at_once() -> None:
    streams = [
        {"name": "a", "schema": SCHEMA, "paht": "x"},
        {"name": "b", "schema": {"properties": {}}},
        {"name": "c", "schema": SCHEMA, "primary_keys": ["no"]},
    ]
    with pytest.raises(SettingsRefused) as refused:
        parse({**CONFIG, "streams": streams, "pagination_page_size": "x"})
    assert len(refused.value.problems) == 4, refused.value


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def answer_all(pace: Pace, clock: Clock, seconds: float, size: int = 100_000) -> int:
    """As many requests at once as the pace says, each answered behind `seconds`; how many these were."""
    turns = [pace.ask() for _ in range(pace.at_once)]
    clock.now += seconds
    for turn in turns:
        pace.answered(turn, size)
    return len(turns)


def test_pages_at_once_double_while_answers_stay_quick_up_to_sixteen() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    assert [answer_all(pace, clock, 0.05) for _ in range(5)] == [4, 8, 16, 16, 16]


def test_pages_at_once_are_halved_where_more_of_them_only_wait_for_each_other() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    alone = pace.ask()
    clock.now += 0.005
    pace.answered(alone, 100_000)
    for seconds in (0.005, 0.005, 0.005):
        answer_all(pace, clock, seconds)
    assert [answer_all(pace, clock, 0.05) for _ in range(4)] == [16, 8, 4, 4]
    pace.begin()  # another stream
    assert [answer_all(pace, clock, 1) for _ in range(2)] == [4, 8]


def test_a_request_too_many_waits_until_another_one_has_ended() -> None:
    """Whoever asks: child streams and requests that are tried again too."""
    pace, through = Pace(2), threading.Event()
    first, _ = pace.ask(), pace.ask()
    asking = threading.Thread(target=lambda: (pace.ask(), through.set()))
    asking.start()
    assert not through.wait(0.02)
    pace.over(first)
    assert through.wait(5)
    asking.join()
    pace.forget()  # the other two
    for turn in (pace.ask(), pace.ask()):
        pace.over(turn)


def test_a_number_that_is_given_is_kept() -> None:
    clock = Clock()
    pace = Pace(3, clock)
    assert answer_all(pace, clock, 0.05) == 3
    pace.refused(pace.ask())
    assert [answer_all(pace, clock, seconds) for seconds in (9, 0.05)] == [3, 3]


def test_refusals_of_one_moment_halve_the_pages_at_once_and_growth_is_slow_from_then_on() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    for _ in range(2):
        answer_all(pace, clock, 0.05)
    turns = [pace.ask() for _ in range(16)]
    clock.now += 0.05
    for turn in turns:
        pace.refused(turn)
    assert [answer_all(pace, clock, 0.05) for _ in range(3)] == [8, 9, 10]
    for _ in range(5):
        clock.now += 1
        pace.refused(pace.ask())
    assert pace.at_once == 1


def test_answers_under_way_are_bounded_in_bytes_but_for_two() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    for size, at_once in ((1 << 20, 6), (2 << 20, 3), (200 << 20, 2), (5, 2)):
        for _ in range(4):
            answer_all(pace, clock, 0.05, size)
        assert pace.at_once == at_once


@pytest.mark.parametrize(
    ("keys", "doubles"), [([[1, 3], [2, 4]], 0), ([[1, 3], [2, 3]], 1), ([[1, 2], [3, 4]], 0), ([[3, 2], [2, 1]], 1)]
)
def test_keys_of_records_that_are_gone_are_proven_in_any_order(keys: list[list[int]], doubles: int) -> None:
    proof = KeyProof("things", ["id"], keeps_keys=True)
    for page in keys:
        proof.add(pa.record_batch({"id": page}))
    with pytest.raises(Doubled, match=f"{doubles} keys") if doubles else nullcontext():
        proof.check()


RECORDS = [b'{"id":1,"price":1.50,"code":7}', b'{"id":2,"price":2.0e3,"code":"x"}', b'{"id":3,"price":null,"code":null}']
COLUMNS = {"id": {"type": "integer"}, "price": {"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"}}
COLUMNS["code"] = {"type": ["string", "integer", "null"]}  # any value, as JSON text


@pytest.mark.parametrize("is_for_json", [False, True])
def test_records_are_the_same_json_by_way_of_dictionaries_and_of_structs(is_for_json: bool) -> None:
    """Also behind a page that brought a column which the SCHEMA message did not have."""
    schema = {"type": "object", "properties": COLUMNS}
    [things] = parse(
        {**CONFIG, "streams": [{"name": "things", "path": "things", "schema": schema, "on_schema_drift": "evolve"}]}
    ).streams
    maker = RecordMaker(schema, Converter(things, schema), is_for_json)
    pages = [RECORDS, [RECORDS[0][:-1] + b',"new":5}'], RECORDS]
    found = [json.loads(serialized(record)) for page in pages for record in maker.records(list(map(msgspec.Raw, page)))[1]]
    wanted = [{**json.loads(text), "code": code} for text, code in zip(RECORDS, ["7", '"x"', None], strict=True)]
    assert found == [*wanted, wanted[0], *wanted]


def serialized(record: object) -> bytes:
    return (
        msgspec.json.encode(record)
        if not isinstance(record, dict)
        else msgspec.json.Encoder(decimal_format="number").encode(record)
    )


def page_of(records: list[bytes], record_type: type[msgspec.Struct] | None) -> Page:
    body = b'{"data":[' + b", ".join(records) + b'],"total":7}'
    return Envelope("$.data[*]", "$.total", None, ("$.error",)).page(Answer(200, "OK", {}, body, "x"), "", record_type)


def test_pages_that_are_decoded_at_once_hold_the_same_rows_names_and_json() -> None:
    """One odd record, and its page is read as JSON, as all are where a stream keeps that, or became nested."""
    schema = {"type": "object", "properties": COLUMNS}
    [things] = parse({**CONFIG, "streams": [{"name": "things", "path": "things", "schema": schema}]}).streams
    converter = Converter(things, schema, key=["id", "code"])
    records = [record for record in RECORDS if b"null" not in record] + [
        rb'{"code":"\u00e9\"","id":4}',
        b'{"id":5,"code":"\xc3\xa9"}',
    ]
    plain, made = (page_of(records, record_type) for record_type in (None, converter.page_type))
    assert isinstance(made.records, Decoded) and not isinstance(plain.records, Decoded)
    assert (made.total, made.sent, made.texts) == (plain.total, plain.sent, plain.texts) == (7, 4, records)
    assert list(map(bytes, made.records[1:])) == records[1:] and bytes(made.records[-1]) == records[-1]
    assert converter.convert(made.records).batch.equals(converter.convert(plain.records).batch)
    both = joined([made.records, made.records[2:]])
    assert isinstance(both, Decoded) and list(map(bytes, both)) == [*records, *records[2:]]
    assert not isinstance(joined([made.records, plain.records]), Decoded)
    known_by = Identity(["id", "code"], converter.flat_one)
    names = [[known_by.name(page.records, place) for place in range(4)] for page in (plain, made)]
    assert names[0] == names[1] and names[0][2] == (b"4", '"é\\""'.encode())
    for odd in (b'{"id":1.5,"code":1}', b'{"id":1,"code":1,"more":1}', b"null", b'{"id":1,"code":1'):
        with nullcontext() if odd[-1:] in b"}l" else pytest.raises(Unreadable):
            assert not isinstance(page_of([*records, odd], converter.page_type).records, Decoded)
