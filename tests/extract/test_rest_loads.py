"""tap-rest-api-msdk beyond one whole read: child streams, inferred schemas, what the API cannot leave out."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from api_kit.spool import ids, staged
from test_rest_honesty import CAP, ROWS, Answer, api, documents, page, sync

from singer_arrow.errors import NameRefused, SelectionRefused, TooManyDeadLetters
from tap_rest_api_msdk.errors import Doubled, ShortLoad

Query = dict[str, list[str]]


def test_times_with_seven_digits_are_cut_and_counted_and_keep_100ns_has_them_beside(tmp_path: Path) -> None:
    column = {"type": "string", "x-sql-datatype": "datetime2(7)"}
    rows = [{"id": 1, "at": "2026-01-01T00:00:00.1234567"}, {"id": 2, "at": "2026-01-01T00:00:00.1234560"}]
    schema = {"properties": {"id": {"type": "integer"}, "at": column}}
    with api(lambda n, q: page(q, rows, total=2)) as url:
        sync(url, tmp_path, stream={"schema": schema}, keep_100ns=True)
    assert [row["at_100ns"] for row in staged(tmp_path)] == [row["at"] for row in rows]
    assert any("at: 1 value" in note for note in documents(tmp_path)[0]["notes"])


def test_what_is_counted_of_pages_that_are_read_again_is_counted_once(tmp_path: Path) -> None:
    """Small pages are converted together; of those behind the one with a dead letter too many nothing is kept."""
    rows = [row | {"at": f"{row['at']}.1234567", "price": "dear" if row["id"] == 12 else row["price"]} for row in ROWS]
    options = {"on_schema_drift": "discard_value"}
    with api(lambda n, q: page(q, [row | {"x": 1} for row in rows], total=25)) as url:
        with pytest.raises(TooManyDeadLetters, match="10 rows of this stream are kept"):
            sync(url, tmp_path, **options)
        sync(url, tmp_path, max_dead_letters=1, **options)
    [document] = documents(tmp_path)
    assert (document["rows"], document["dead_letters"]) == (24, 1)
    assert any(note.startswith("at: 24 values") for note in document["notes"]), document["notes"]
    assert document["drift"] == [{"field": "x", "became": "left out", "records": 25, "type": None}]


@pytest.mark.parametrize("value", [["a"], {"b": 1}, 12345678901234567890123])
def test_a_column_that_was_added_and_holds_json_holds_it_in_the_next_load_too(value: Any, tmp_path: Path) -> None:
    rows = [row | {"x": value} for row in ROWS]
    options = {"stream": {"replication_key": "at"}, "on_schema_drift": "evolve"}
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        state = sync(url, tmp_path / "first", **json.loads(json.dumps(options)))[-1]["value"]
        rows.append({"id": 25, "price": 1, "at": "2026-02-01T00:00:00", "x": "text"})
        state = sync(url, tmp_path / "next", state, **json.loads(json.dumps(options)))[-1]["value"]
    assert {row["x"] for row in staged(tmp_path / "first")} == {json.dumps(value)}
    assert [row["x"] for row in staged(tmp_path / "next")] == [json.dumps(value), '"text"']
    assert state["bookmarks"]["things"]["json_columns"] == ["x"]


def test_an_object_that_became_a_column_stays_one_where_another_record_is_a_dead_letter(tmp_path: Path) -> None:
    rows = [row | {"x": {"y": 1}, "price": "dear" if row["id"] == 15 else row["price"]} for row in ROWS]
    options = {"stream": {"replication_key": "at"}, "on_schema_drift": "evolve", "max_dead_letters": 2}
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        state = sync(url, tmp_path / "first", **json.loads(json.dumps(options)))[-1]["value"]
        rows.append({"id": 25, "price": "dear", "at": "2026-02-01T00:00:00", "x": {"y": 2}})
        sync(url, tmp_path / "next", state, **json.loads(json.dumps(options)))
    assert {row["x"] for row in [*staged(tmp_path / "first"), *staged(tmp_path / "next")]} == {'{"y": 1}'}
    assert "x_y" not in staged(tmp_path / "first")[0] and "x_y" not in staged(tmp_path / "next")[0]


def test_except_keys_keep_the_json_of_members_that_are_not_declared(tmp_path: Path) -> None:
    rows = [row | {"x": 2} for row in ROWS]
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        sync(url, tmp_path, on_schema_drift="evolve", except_keys=["x"])
    assert [row["x"] for row in staged(tmp_path)] == ["2"] * 25


@pytest.mark.parametrize("differs", [False, True], ids=["same", "other"])
def test_a_load_without_its_doubles_is_the_same_load_with_the_same_dead_letters(
    differs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All loads of a stream that begin in one second of one run have one id."""
    monkeypatch.setenv("MELTANO_RUN_ID", "a run")
    twice = ROWS[3] | ({"price": 9} if differs else {})
    rows = [*ROWS[:5], ROWS[5] | {"price": "dear"}, *ROWS[6:12], twice, *ROWS[12:]]
    with api(lambda n, q: page(q, rows)) as url:
        if differs:
            with pytest.raises(Doubled, match=r"keys came more than once.*id=3"):
                sync(url, tmp_path, total_path="none", max_dead_letters=1)
            assert not [path for path in tmp_path.rglob("*") if path.is_file()]
            return
        sync(url, tmp_path, total_path="none", max_dead_letters=1)
    [document] = documents(tmp_path)
    assert ids(tmp_path) == [row["id"] for row in ROWS if row["id"] != 5]
    assert (document["rows"], document["dead_letters"]) == (24, 1)
    assert "1 record came twice with the same content, and is here once" in document["notes"]
    [letters] = (tmp_path / "_dead_letters").glob("*.jsonl")
    assert document["load_id"] in letters.name and json.loads(letters.read_text())["record"]["id"] == 5


def test_a_member_that_meets_a_column_but_for_case_is_refused_with_a_way_out(tmp_path: Path) -> None:
    rows = [row | ({"ID": 1} if row["id"] == 3 else {}) for row in ROWS]
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        with pytest.raises(NameRefused, match=r"'id' and 'ID' would be one Delta column.*set on_schema_drift to discard_value"):
            sync(url, tmp_path, on_schema_drift="evolve")
        sync(url, tmp_path, on_schema_drift="discard_value")
    assert ids(tmp_path) == list(range(25))


def test_keep_100ns_keeps_its_columns_in_the_next_load_of_a_stream_that_evolves(tmp_path: Path) -> None:
    rows = [row | {"at": f"{row['at']}.1234567", "x": 1} for row in ROWS]
    columns = {"id": {"type": "integer"}, "at": {"type": "string", "x-sql-datatype": "datetime2(7)"}, "price": {"type": "number"}}
    options = {
        "stream": {"replication_key": "at", "schema": {"properties": columns}},
        "keep_100ns": True,
        "on_schema_drift": "evolve",
    }
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        state = sync(url, tmp_path / "first", **json.loads(json.dumps(options)))[-1]["value"]
        rows.append({"id": 25, "price": 1, "at": "2026-02-01T00:00:00.7654321", "x": 2})
        sync(url, tmp_path / "next", state, **json.loads(json.dumps(options)))
    assert [(row["at_100ns"], row["x"]) for row in staged(tmp_path / "next")] == [(rows[24]["at"], 1), (rows[25]["at"], 2)]


def test_a_key_that_is_null_is_a_dead_letter(tmp_path: Path) -> None:
    rows = [*ROWS[:5], ROWS[5] | {"id": None}]
    with api(lambda n, q: page(q, rows, total=6)) as url, pytest.raises(TooManyDeadLetters, match="record 6, id: it is NULL"):
        sync(url, tmp_path)


def test_a_schema_that_is_not_declared_is_inferred_and_the_load_says_so(tmp_path: Path) -> None:
    rows = [
        {"id": n, "price": n / 4, "name": None if n < 3 else f"n{n}", "address": {"city": "Olinda", "geo": [1, n]}, "b-c": n > 2}
        for n in range(15)
    ]
    with api(lambda n, q: page(q, rows, total=15)) as url:
        sync(url, tmp_path, stream={"schema": None}, num_inference_records=4)
    found = staged(tmp_path)
    assert found[3] == {"id": 3, "price": 0.75, "name": "n3", "address_city": "Olinda", "address_geo": "[1,3]", "b_c": True}
    [document] = documents(tmp_path)
    assert "the schema is not declared: it was inferred from the first 4 records" in document["notes"]


def test_nested_records_become_columns_where_their_members_are_declared(tmp_path: Path) -> None:
    rows = [{"id": n, "a": None if n == 7 else {"b": {"c": n}, "d": {"x": 1.50}}} for n in range(12)]
    columns = {"id": {"type": "integer"}, "a_b_c": {"type": ["integer", "null"]}, "a_d": {"type": ["object", "null"]}}
    with api(lambda n, q: page(q, rows, total=12)) as url:
        sync(url, tmp_path, stream={"schema": {"properties": columns}})
    assert [(row["a_b_c"], row["a_d"]) for row in staged(tmp_path)] == [
        (None, None) if n == 7 else (n, '{"x":1.5}') for n in range(12)
    ]
    assert documents(tmp_path)[0]["drift"] == [], "what became columns is not told as rejected"


def test_raw_records_stand_beside_their_columns(tmp_path: Path) -> None:
    with api(lambda n, q: page(q, total=25)) as url:
        sync(url, tmp_path, store_raw_json_message=True)
    row = staged(tmp_path)[4]
    assert json.loads(row["_sdc_raw_json"]) == ROWS[4] and row["id"] == 4


def test_an_api_that_cannot_leave_out_what_is_old_has_it_left_out_here_but_for_the_lookback(tmp_path: Path) -> None:
    state = {"bookmarks": {"things": {"replication_key": "at", "replication_key_value": "2026-01-20T00:00:00.000000"}}}
    with api(lambda n, q: page(q, total=25)) as url:
        sync(url, tmp_path / "plain", json.loads(json.dumps(state)), stream={"replication_key": "at"})
        sync(url, tmp_path / "back", json.loads(json.dumps(state)), stream={"replication_key": "at", "lookback": 2 * 86400})
    assert ids(tmp_path / "plain") == list(range(19, 25))
    assert ids(tmp_path / "back") == list(range(17, 25))
    assert [each["source_rows"] for each in documents(tmp_path / "back")] == [8]


@pytest.mark.parametrize("is_told", [False, True], ids=["all", "told"])
def test_a_first_load_does_not_look_back_behind_its_start_date(is_told: bool, tmp_path: Path) -> None:
    def serve(_: int, query: Query) -> Answer:
        found = [row for row in ROWS if str(row["at"]) >= query.get("since", [""])[0]]
        return page(query, found, total=len(found))

    search = {"source_search_field": "since", "source_search_query": "$last_run_date"} if is_told else {}
    stream = {"replication_key": "at", "start_date": "2026-01-20", "lookback": 2 * 86400, **search}
    with api(serve) as url:
        state = sync(url, tmp_path / "first", stream=stream)[-1]["value"]
        sync(url, tmp_path / "next", state, stream=stream)
    assert ids(tmp_path / "first") == list(range(19, 25))
    assert ids(tmp_path / "next") == [22, 23, 24]


NUMBERED = [  # the column's declaration, the value of a record's number, what a lookback of so many records is
    pytest.param({"type": "integer"}, lambda n: n, 3, id="integer"),
    pytest.param({"type": "integer", "x-sql-datatype": "smallint"}, lambda n: n - 10, 3, id="smallint"),
    pytest.param({"type": "number", "x-sql-datatype": "decimal(9,2)"}, lambda n: n + 0.25, 3, id="decimal"),
    pytest.param({"type": "number", "x-sql-datatype": "decimal(38,0)"}, lambda n: 10**30 + n, 3, id="decimal of 38 digits"),
    pytest.param({"type": "number", "x-sql-datatype": "float"}, lambda n: n / 4, 0.75, id="float"),
    pytest.param({"type": "string", "format": "date"}, lambda n: f"2026-01-{n + 1:02d}", 3 * 86400, id="date"),
    pytest.param({"type": "string", "format": "date-time"}, lambda n: f"2026-01-{n + 1:02d}T00:00:00Z", 3 * 86400, id="moment"),
    pytest.param(
        {"type": "string", "x-sql-datatype": "datetime2"}, lambda n: f"2026-01-{n + 1:02d}T00:00:00", 3 * 86400, id="local time"
    ),
    pytest.param({"type": "string", "x-sql-datatype": "time"}, lambda n: f"{n:02d}:30:00.1234567", 3 * 3600, id="time of day"),
]


@pytest.mark.parametrize(("column", "value", "back"), NUMBERED)
def test_a_replication_key_of_each_type_goes_on_at_its_bookmark_or_so_much_before_it(
    column: dict[str, Any], value: Any, back: float, tmp_path: Path
) -> None:
    rows = [{"id": n, "no": value(n)} for n in range(12)]
    stream = {"replication_key": "no", "schema": {"properties": {"id": {"type": "integer"}, "no": column}}}
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        state = sync(url, tmp_path / "first", stream=stream)[-1]["value"]
        rows += [{"id": n, "no": value(n)} for n in (12, 13)]
        again = json.dumps(state)
        sync(url, tmp_path / "next", json.loads(again), stream=stream)
        sync(url, tmp_path / "back", json.loads(again), stream=stream | {"lookback": back})
    assert ids(tmp_path / "first") == list(range(12))
    assert ids(tmp_path / "next") == [11, 12, 13]
    assert ids(tmp_path / "back") == [8, 9, 10, 11, 12, 13]


def test_a_start_that_is_no_value_of_the_key_is_refused_though_the_schema_is_not_declared(tmp_path: Path) -> None:
    stream = {"schema": None, "replication_key": "id"}
    with (
        api(lambda n, q: page(q, total=25)) as url,
        pytest.raises(SelectionRefused, match="start_date is not a value of the replication_key id, which"),
    ):
        sync(url, tmp_path, stream=stream, start_date="2026-01-01")


def test_a_question_for_new_records_that_is_no_json_with_the_bookmark_in_it_is_refused_by_name(tmp_path: Path) -> None:
    bookmark = {"replication_key": "at", "replication_key_value": "2026-01-20T00:00:00.000000"}
    search = {"source_search_field": "changed", "source_search_query": '{"gt": $last_run_date}'}
    told = r"source_search_query becomes \{\"gt\": 2026-01-20T00:00:00\}, which is not JSON.*write \$last_run_date between quotes"
    with api(lambda n, q: page(q, total=25)) as url, pytest.raises(SelectionRefused, match=told):
        state = {"bookmarks": {"things": bookmark}}
        sync(url, tmp_path, state, stream={"replication_key": "at", **search}, use_request_body_not_params=True)


@pytest.mark.parametrize(
    "stream",
    [{}, {"lookback": 86400}, {"source_search_field": "since", "source_search_query": "$last_run_date"}],
    ids=["all", "back", "told"],
)
def test_a_load_that_brings_what_the_one_before_brought_is_none_until_a_value_changes(
    stream: dict[str, Any], tmp_path: Path
) -> None:
    """The API is not told what is old, or looked back behind it, or told, so that the tap does not know what comes again."""
    rows = [*ROWS, {"id": 25, "price": 1.5, "at": ROWS[24]["at"]}, {"id": 26, "price": 2.5, "at": None}]
    at = {"type": ["string", "null"], "x-sql-datatype": "datetime"}
    columns = {"id": {"type": "integer"}, "price": {"type": "number", "x-sql-datatype": "decimal(9,2)"}, "at": at}
    options = {"replication_key": "at", "schema": {"properties": columns}, **stream}
    states: list[Any] = [None]

    def serve(_: int, query: Query) -> Answer:
        since = query.get("since", [""])[0].replace("Z", "")
        found = [row for row in rows if row["at"] is None or str(row["at"]) >= since]
        return page(query, found, total=len(found))

    def load(folder: str) -> list[int]:
        sent = sync(url, tmp_path / folder, json.loads(json.dumps(states[-1])), stream=options)
        if not sent:
            assert not list((tmp_path / folder).rglob("*.parquet")) and not documents(tmp_path / folder)
            return []
        states.append(sent[-1]["value"])
        return ids(tmp_path / folder)

    with api(serve) as url:
        assert load("first") == list(range(27))
        if stream:  # what this load read is compared with the next one
            assert load("second")[-3:] == [24, 25, 26]
        assert load("idle") == []
        rows[24] = {**rows[24], "price": 7.25}
        assert load("changed")[-3:] == [24, 25, 26]
        assert load("idle again") == []
        rows.append({"id": 27, "price": 0.5, "at": None})
        assert load("without a value")[-4:] == [24, 25, 26, 27]
        assert load("idle at last") == []


def test_without_a_key_records_that_equal_those_of_the_load_before_are_others(tmp_path: Path) -> None:
    """The API tells what is new alone; what is new may have the values of what was new the last time."""
    new: list[dict[str, Any]] = [{"id": 1, "price": 1.5, "at": None}, ROWS[3]]
    options = {"replication_key": "at", "source_search_field": "since", "source_search_query": "$last_run_date"}
    columns = {"id": {"type": "integer"}, "price": {"type": "number"}, "at": {"type": ["string", "null"], "format": "date"}}
    stream = {**options, "primary_keys": None, "schema": {"properties": columns}}
    rows = [{**row, "at": row["at"] and row["at"][:10]} for row in new]
    with api(lambda n, q: page(q, rows, total=len(rows))) as url:
        state = sync(url, tmp_path / "first", stream=stream)[-1]["value"]
        rows = rows[:1]
        assert sync(url, tmp_path / "second", state, stream=stream), "the same values, and another record"
        assert ids(tmp_path / "second") == [1]
        state = sync(url, tmp_path / "third", state, stream=stream)[-1]["value"]
        rows = []
        assert sync(url, tmp_path / "fourth", state, stream=stream) == [], "no record is no load"


def test_an_api_that_begins_pages_at_multiples_of_their_size_is_found_out_and_read(tmp_path: Path) -> None:
    def aligned(_: int, query: Query) -> Answer:
        offset = int(query["offset"][0]) // CAP * CAP
        return 200, {"data": ROWS[offset : offset + CAP], "total": 25}, {}

    with api(aligned) as url:
        sync(url, tmp_path, pagination_page_size=CAP)
    assert ids(tmp_path) == list(range(25))
    [document] = documents(tmp_path)
    assert any("does not begin pages where it is asked to" in note for note in document["notes"])


def test_an_api_of_one_page_that_does_not_look_at_offsets_is_read_and_the_load_says_so(tmp_path: Path) -> None:
    with api(lambda n, q: (200, {"data": ROWS[:7], "total": 7}, {})) as url:
        sync(url, tmp_path)
    [document] = documents(tmp_path)
    assert document["rows"] == 7
    assert any("gave its only page again" in note for note in document["notes"])


def test_a_row_that_goes_in_front_of_the_reader_while_another_comes_behind_it_is_noticed(tmp_path: Path) -> None:
    """Total and keys stay right, and a record would be missing."""

    def shifting(n: int, query: Query) -> Answer:
        rows = ROWS if n < 2 else [*ROWS[1:], {**ROWS[0], "id": 99}]
        return page(query, rows, total=25)

    with api(shifting) as url:
        sync(url, tmp_path, max_parallel_pages=1)
    assert ids(tmp_path) == [*range(1, 25), 99]
    with api(shifting) as url, pytest.raises(ShortLoad, match="is not where it was"):
        sync(url, tmp_path / "never", settle_max_seconds=0, max_parallel_pages=1)


def test_a_total_that_grows_is_no_reason_to_read_again_where_a_page_under_way_was_answered_before(tmp_path: Path) -> None:
    rows = [*ROWS, *({**ROWS[0], "id": number} for number in (25, 26))]
    asked: list[int] = []
    under_way = threading.Event()

    def growing(_: int, query: Query) -> Answer:
        offset = int(query["offset"][0])
        total = 25 if offset == 0 else 26 if offset == 18 and 18 not in asked else 27
        asked.append(offset)
        if offset == 18:
            under_way.set()
        elif offset == 9:
            assert under_way.wait(30), "pages are asked for at once"
        return page(query, rows[:total], total=total)

    with api(growing) as url:
        sync(url, tmp_path)
    assert ids(tmp_path) == list(range(27))
    assert asked.count(0) == 1


def test_as_many_pages_are_under_way_at_once_as_asked_for_and_no_more(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "id": number} for number in range(120)]
    three, lock, too_many = threading.Barrier(3), threading.Lock(), threading.Event()
    now = most = 0

    def serving(number: int, query: Query) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            if now > 3:
                too_many.set()
        if number:
            with suppress(threading.BrokenBarrierError):  # the last ones may be fewer than three
                three.wait(2)
            too_many.wait(0.2)  # time for a fourth one, if there is any
        with lock:
            now -= 1
        return page(query, rows, total=120)

    with api(serving) as url:
        sync(url, tmp_path, max_parallel_pages=3)
    assert most == 3
    assert ids(tmp_path) == list(range(120))


def test_a_page_that_is_not_needed_any_more_holds_up_no_other(tmp_path: Path) -> None:
    """A short page makes the places behind it wrong; those under way hang, and the walk goes on without them."""
    rows = [{**ROWS[0], "id": number} for number in range(60)]
    is_done, freed_in_time = threading.Event(), []

    def serving(_: int, query: Query) -> Answer:
        offset = int(query["offset"][0])
        if offset in (18, 27, 36):  # asked for behind a whole page at 9
            freed_in_time.append(is_done.wait(15))
        return page(query, rows[: 9 + 5] if offset == 9 else rows, total=60)

    with api(serving) as url:
        sync(url, tmp_path, max_parallel_pages=3)
        is_done.set()
    assert ids(tmp_path) == list(range(60))
    assert freed_in_time
    assert all(freed_in_time)
