"""tap-rest-api-msdk against APIs that lie, limp or limit: never a short load, never a silent one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lakehouse_kit import fits

from singer_arrow.errors import SelectionRefused, TooManyDeadLetters
from tap_rest_api_msdk import batch_output, config
from tap_rest_api_msdk.errors import AnswerRefused, ApiUnavailable, ShortLoad

ROWS = [{"id": i, "price": i / 4, "at": f"2026-01-{1 + i:02d}T00:00:00"} for i in range(25)]
CAP = 10
Answer = tuple[int, Any, dict[str, str]]
Serve = Callable[..., Answer]  # number of the request, its query, its path where it takes three


@contextmanager
def api(serve: Serve) -> Iterator[str]:
    """A small API: `serve` takes the number of the request and its query, and gives status, JSON or bytes, headers."""
    count = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query, path = parse_qs(urlsplit(self.path).query), urlsplit(self.path).path
            status, content, headers = serve(next(count), query, *([path] if serve.__code__.co_argcount > 2 else []))
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def page(query: dict[str, list[str]], rows: list[dict[str, Any]] = ROWS, **more: Any) -> Answer:
    """A page of the rows, silently capped."""
    offset, limit = int(query["offset"][0]), min(int(query["limit"][0]), CAP)
    return 200, {"data": rows[offset : offset + limit], **more}, {}


def sync(url: str, spool: Path, state: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """Runs the tap in this process; returns its messages."""
    columns = {
        "id": {"type": "integer", "x-sql-datatype": "int", "description": "Its number"},
        "price": {"type": "number", "x-sql-datatype": "decimal(9,2)"},
        "at": {"type": "string", "x-sql-datatype": "datetime"},
    }
    stream = {"name": "things", "path": "things", "primary_keys": ["id"], "schema": {"properties": columns}}
    settings = {
        "api_url": url,
        "records_path": "$.data[*]",
        "total_path": "$.total",
        "pagination_request_style": "offset_paginator",
        "pagination_response_style": "offset",
        "pagination_initial_offset": 0,
        "backoff_max_seconds": 2,
        "batch_config": {"encoding": {"format": "parquet"}, "storage": {"root": spool.as_uri()}},
        "streams": [{name: value for name, value in {**stream, **more.pop("stream", {})}.items() if value is not None}],
        **more,
    }
    sent: list[dict[str, Any]] = []

    def write(message: dict[str, Any]) -> None:
        sent.append(json.loads(json.dumps(message)))

    batch_output.sync(config.parse(settings), settings["batch_config"], None, state or {}, write)
    return sent


def documents(spool: Path) -> list[dict[str, Any]]:
    """The load documents of the spool."""
    return [fits("load-document", json.loads(path.read_text())) for path in spool.glob("*/*.load.json")]


def test_a_total_that_is_never_reached_is_no_load(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, total=26)) as url, pytest.raises(ShortLoad, match=r"25 records .* total is 26"):
        sync(url, tmp_path)
    assert not documents(tmp_path)
    assert not list(tmp_path.glob("*/*.parquet"))


def test_a_total_that_is_exceeded_is_no_load(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, total=24)) as url, pytest.raises(ShortLoad, match=r"25 records .* total is 24"):
        sync(url, tmp_path)


def test_a_total_that_sinks_in_mid_run_is_no_load(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, total=99 - n)) as url, pytest.raises(ShortLoad, match=r"changed from \d+ to \d+"):
        sync(url, tmp_path, settle_max_seconds=1)
    assert not documents(tmp_path)


def test_a_first_offset_that_misses_a_record_is_no_load(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, total=25)) as url, pytest.raises(ShortLoad, match="pagination_initial_offset"):
        sync(url, tmp_path, pagination_initial_offset=1)


def test_without_a_total_only_an_empty_page_is_the_end(tmp_path: Path) -> None:
    def uneven(_: int, query: dict[str, list[str]]) -> Answer:
        offset = int(query["offset"][0])
        return 200, {"data": ROWS[offset : offset + (3 if offset % 2 else 10)]}, {}

    with api(uneven) as url:
        sync(url, tmp_path, total_path=None)
    [document] = documents(tmp_path)
    assert (document["rows"], document["source_rows"]) == (25, None)


def test_without_a_total_the_first_offset_must_be_stated(tmp_path: Path) -> None:
    with api(lambda n, q: page(q)) as url, pytest.raises(AnswerRefused, match="pagination_initial_offset"):
        sync(url, tmp_path, total_path=None, pagination_initial_offset=None)


@pytest.mark.parametrize("pages", [2, 3])
@pytest.mark.parametrize("overlap_pages", [False, True])
def test_an_api_that_ignores_the_offset_is_found_out(pages: int, overlap_pages: bool, tmp_path: Path) -> None:
    def deaf(_: int, query: dict[str, list[str]]) -> Answer:
        return 200, {"data": ROWS[:CAP], "total": pages * CAP}, {}

    with api(deaf) as url, pytest.raises(ShortLoad, match="two pages in a row hold the same 10 records"):
        sync(url, tmp_path, overlap_pages=overlap_pages)


def test_server_errors_and_retry_after_dates_are_waited_out(tmp_path: Path) -> None:
    def limping(n: int, query: dict[str, list[str]]) -> Answer:
        if n == 0:
            return 503, {}, {}
        if n == 2:
            return 429, {}, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)}
        return page(query, total=25)

    with api(limping) as url:
        sync(url, tmp_path)
    [document] = documents(tmp_path)
    assert document["rows"] == 25


def test_a_broken_answer_is_fetched_again(tmp_path: Path) -> None:
    def cut(n: int, query: dict[str, list[str]]) -> Answer:
        status, content, _ = page(query, total=25)
        body = json.dumps(content).encode()
        return (200, body[:50], {"Content-Length": str(len(body))}) if n == 1 else (status, content, {})

    with api(cut) as url:
        sync(url, tmp_path)
    assert documents(tmp_path)[0]["rows"] == 25


def test_waiting_longer_than_allowed_is_said_at_once(tmp_path: Path) -> None:
    with (
        api(lambda n, q: (429, {}, {"Retry-After": "900"})) as url,
        pytest.raises(ApiUnavailable, match=r"429 .* asks to wait 900 s .* at most 300 s"),
    ):
        sync(url, tmp_path)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"id": 1, "price": 1, "at": "2026-01-01T00:00:00", "new": 1}, "record 1, new: it is not declared"),
        ({"id": "one", "price": 1, "at": "2026-01-01T00:00:00"}, "record 1, id: "),
        ({"id": 1, "price": None, "at": "2026-01-01T00:00:00"}, "record 1, price: it is NULL"),
        ({"id": 1, "price": 1.125, "at": "2026-01-01T00:00:00"}, "record 1, price: 1.125 has digits"),
    ],
)
def test_records_outside_the_schema_are_refused_by_name(tmp_path: Path, record: dict[str, Any], told: str) -> None:
    with api(lambda n, q: page(q, [record], total=1)) as url, pytest.raises(TooManyDeadLetters) as refused:
        sync(url, tmp_path)
    assert f"stream things: 1 record does not fit its schema, and max_dead_letters is 0: page 1, {told}" in str(refused.value)
    [file] = (tmp_path / "_dead_letters").glob("*.jsonl")
    assert str(file) in str(refused.value) and json.loads(file.read_text())["record"] == record


def test_extra_fields_may_be_ignored(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, [{**ROWS[0], "new": 1}], total=1)) as url:
        sync(url, tmp_path, extra_fields="ignore")
    assert documents(tmp_path)[0]["rows"] == 1


def test_an_answer_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with api(lambda n, q: (200, b"<html>login", {})) as url, pytest.raises(AnswerRefused, match="offset 0"):
        sync(url, tmp_path)


def test_an_empty_stream_is_a_load_of_zero_rows(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, [], total=0)) as url:
        sent = sync(url, tmp_path)
    assert documents(tmp_path)[0]["rows"] == 0
    assert [m["type"] for m in sent].count("BATCH") == 1


def test_an_incremental_stream_resumes_behind_its_bookmark(tmp_path: Path) -> None:
    def filtering(_: int, query: dict[str, list[str]]) -> Answer:
        since = query.get("changed", ["gt "])[0].removeprefix("gt ")
        rows = [row for row in ROWS if row["at"] > since]
        return page(query, rows, total=len(rows))

    stream = {"replication_key": "at", "source_search_field": "changed", "source_search_query": "gt $last_run_date"}
    state = {"bookmarks": {"things": {"replication_key": "at", "replication_key_value": "2026-01-20T00:00:00.000000"}}}
    with api(filtering) as url:
        sync(url, tmp_path / "first", stream=stream | {"start_date": "2026-01-10"})
        [first] = documents(tmp_path / "first")
        assert (first["mode"], first["rows"], first["cursor"]["from"]) == ("overwrite", 16, "2026-01-10")
        sent = sync(url, tmp_path / "next", state, stream=stream)
    [document] = documents(tmp_path / "next")
    assert (document["mode"], document["rows"]) == ("merge", 5)
    assert document["cursor"] == {
        "column": "at",
        "from": "2026-01-20T00:00:00.000000",
        "to": "2026-01-25T00:00:00.000000",
    }
    kinds = [m["type"] for m in sent]
    behind = sent[kinds.index("BATCH") + 1]
    assert behind["value"]["bookmarks"]["things"]["replication_key_value"] == "2026-01-25T00:00:00.000000"


def test_after_a_load_of_all_records_an_incremental_stream_begins_anew(tmp_path: Path) -> None:
    stream = {"replication_key": "at", "primary_keys": ["id"]}
    with api(lambda _, query: page(query, ROWS, total=len(ROWS))) as url:
        state = sync(url, tmp_path / "first", stream=stream)[-1]["value"]
        state = sync(url, tmp_path / "whole", state, stream={"primary_keys": ["id"]})[-1]["value"]
        assert not state["bookmarks"]["things"]
        sync(url, tmp_path / "then", state, stream=stream)
    assert documents(tmp_path / "then")[0]["mode"] == "overwrite"


def test_another_key_reads_an_incremental_stream_whole_once_and_says_so(tmp_path: Path) -> None:
    stream = {"replication_key": "at", "primary_keys": ["id"]}
    told = "its key was (id) and is (at, id): this load reads the stream whole"
    with api(lambda _, query: page(query, ROWS, total=len(ROWS))) as url:
        state = sync(url, tmp_path / "first", stream=stream)[-1]["value"]
        state = sync(url, tmp_path / "next", state, stream=stream | {"primary_keys": ["at", "id"]})[-1]["value"]
        [document] = documents(tmp_path / "next")
        assert (document["mode"], document["key_columns"], document["rows"]) == ("overwrite", ["at", "id"], len(ROWS))
        assert told in document["notes"]
        sync(url, tmp_path / "then", state, stream=stream | {"primary_keys": ["id", "at"]})
        assert documents(tmp_path / "then") == [], "nothing has changed: the order of a key's columns makes no difference"


def test_new_columns_of_an_incremental_stream_are_read_whole_once_and_others_are_refused_alone(tmp_path: Path) -> None:
    def filtering(_: int, query: dict[str, list[str]]) -> Answer:
        since = query.get("changed", ["gt "])[0].removeprefix("gt ")
        rows = [row for row in ROWS if row["at"] > since]
        return page(query, rows, total=len(rows))

    stream = {"replication_key": "at", "source_search_field": "changed", "source_search_query": "gt $last_run_date"}
    known = {"id": "int32", "at": "timestamp[us]"}
    bookmark = {"replication_key": "at", "replication_key_value": "2026-01-20T00:00:00.000000", "columns": known}
    with api(filtering) as url:
        sent = sync(url, tmp_path / "new", {"bookmarks": {"things": dict(bookmark)}}, stream=stream)
        [document] = documents(tmp_path / "new")
        assert (document["mode"], document["rows"], document["cursor"]["from"]) == ("overwrite", 25, None)
        assert "column price is new: this load reads the stream whole" in document["notes"][0]
        state = sent[-1]["value"]
        assert state["bookmarks"]["things"]["columns"] == known | {"price": "decimal128(9, 2)"}
        sync(url, tmp_path / "settled", state, stream=stream)
        [document] = documents(tmp_path / "settled")
        assert (document["mode"], document["rows"], document["notes"]) == ("merge", 0, [])
        sync(url, tmp_path / "null", {"bookmarks": {"things": dict(bookmark)}}, stream=stream, on_new_column="null")
        [document] = documents(tmp_path / "null")
        assert (document["mode"], document["rows"]) == ("merge", 5)
        assert "rows that were read before hold NULL in it" in document["notes"][0]
        narrowed = bookmark | {"columns": {**known, "price": "decimal128(19, 4)"}}
        with pytest.raises(SelectionRefused, match=r"column price was decimal128\(19, 4\) and is decimal128\(9, 2\)"):
            sync(url, tmp_path / "refused", {"bookmarks": {"things": narrowed}}, stream=stream)
