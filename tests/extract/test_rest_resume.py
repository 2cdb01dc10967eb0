"""tap-rest-api-msdk: what a load that failed keeps, where the next run goes on, and when it must not."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from api_kit.spool import ids, staged
from test_rest_honesty import ROWS, Answer, api, documents, page, sync

from singer_arrow.errors import Failure, TooManyDeadLetters
from tap_rest_api_msdk.errors import ApiUnavailable

Query = dict[str, list[str]]


@pytest.mark.parametrize(("missing", "kept"), [(18, 19), (24, 25)], ids=["a page", "the probe behind the last record"])
def test_a_load_that_failed_goes_on_at_its_first_missing_page(missing: int, kept: int, tmp_path: Path) -> None:
    """It asks for the last record that was kept, and for what is behind it."""
    asked: list[int] = []

    def failing(_: int, query: Query) -> Answer:
        asked.append(int(query["offset"][0]))
        return (503, {}, {}) if asked[-1] >= missing and not is_well else page(query, total=25)

    is_well = False
    with api(failing) as url:
        with pytest.raises(ApiUnavailable, match=f"{kept} rows of this stream are kept, and the next run goes on behind them"):
            sync(url, tmp_path, backoff_max_seconds=0)
        is_well = True
        asked.clear()
        sync(url, tmp_path)
    assert sorted(set(asked)) == sorted({missing, 24})
    assert ids(tmp_path) == list(range(25))
    [document] = documents(tmp_path)
    assert (document["rows"], document["source_rows"]) == (25, 25)
    assert {each["name"]: each["comment"] for each in document["schema"] if each["comment"]} == {"id": "Its number"}
    assert f"it goes on behind {kept} rows of a run that failed" in document["notes"]
    assert not list(tmp_path.rglob("*.progress.json"))


def test_a_load_that_asks_for_something_else_begins_anew_and_leaves_no_part_of_the_old_one(tmp_path: Path) -> None:
    is_well = False

    def failing(_: int, query: Query) -> Answer:
        return page(query, total=25) if is_well or query["offset"] == ["0"] else (503, {}, {})

    with api(failing) as url:
        with pytest.raises(ApiUnavailable):
            sync(url, tmp_path, backoff_max_seconds=0)
        is_well = True
        sync(url, tmp_path, params={"state": "open"})
    [document] = documents(tmp_path)
    assert (document["rows"], document["notes"]) == (25, [])
    assert {path.name for path in (tmp_path / "things").glob("*.parquet")} == {file["path"] for file in document["files"]}


def test_what_was_kept_is_read_again_where_the_api_has_changed_since(tmp_path: Path) -> None:
    is_later = False

    def changing(_: int, query: Query) -> Answer:
        if is_later:
            return page(query, ROWS[1:], total=24)
        return page(query, total=25) if query["offset"] == ["0"] else (503, {}, {})

    with api(changing) as url:
        with pytest.raises(ApiUnavailable):
            sync(url, tmp_path, backoff_max_seconds=0)
        is_later = True
        sync(url, tmp_path)
    assert ids(tmp_path) == list(range(1, 25))


def test_what_was_kept_is_read_again_where_a_record_in_front_went_and_another_came_behind(tmp_path: Path) -> None:
    """Total and keys stay right: the last record that was kept shows it."""
    is_later = False

    def changing(_: int, query: Query) -> Answer:
        if is_later:
            return page(query, [*ROWS[1:], {**ROWS[0], "id": 99}], total=25)
        return page(query, total=25) if query["offset"] == ["0"] else (503, {}, {})

    with api(changing) as url:
        with pytest.raises(ApiUnavailable, match="10 rows of this stream are kept"):
            sync(url, tmp_path, backoff_max_seconds=0)
        is_later = True
        sync(url, tmp_path)
    assert ids(tmp_path) == [*range(1, 25), 99]


def test_a_load_that_goes_on_leaves_the_bookmark_where_its_first_run_had_it(tmp_path: Path) -> None:
    """A kept row that changed at the source meanwhile has a newer replication key, which the next load must ask for."""
    is_well = False

    def failing(_: int, query: Query) -> Answer:
        return page(query, total=25) if is_well or query["offset"] == ["0"] else (503, {}, {})

    with api(failing) as url:
        with pytest.raises(ApiUnavailable):
            sync(url, tmp_path, backoff_max_seconds=0, stream={"replication_key": "at"})
        is_well = True
        sent = sync(url, tmp_path, stream={"replication_key": "at"})
    assert ids(tmp_path) == list(range(25))
    assert sent[-1]["value"]["bookmarks"]["things"]["replication_key_value"] == "2026-01-10T00:00:00.000000"


def test_dead_letters_are_counted_and_raising_their_limit_goes_on_without_reading_again(tmp_path: Path) -> None:
    rows = [row | ({"price": "dear"} if row["id"] in (3, 21) else {}) for row in ROWS]
    asked: list[int] = []

    def serving(_: int, query: Query) -> Answer:
        asked.append(int(query["offset"][0]))
        return page(query, rows, total=25)

    with api(serving) as url:
        with pytest.raises(TooManyDeadLetters, match=r"page 3, record 3, price: .*set max_dead_letters to 2"):
            sync(url, tmp_path, max_dead_letters=1)
        asked.clear()
        sync(url, tmp_path, max_dead_letters=2)
    assert min(asked) >= 18
    [document] = documents(tmp_path)
    assert (document["rows"], document["dead_letters"], document["source_rows"]) == (23, 2, 25)
    assert ids(tmp_path) == [row["id"] for row in ROWS if row["id"] not in (3, 21)]
    [file] = [path for path in (tmp_path / "_dead_letters").glob("*.jsonl") if document["load_id"] in path.name]
    assert [json.loads(line)["record"]["id"] for line in file.read_text().splitlines()] == [3, 21]


def in_two_runs(spool: Path, rows: list[dict[str, Any]], first: dict[str, Any], then: dict[str, Any]) -> list[dict[str, Any]]:
    """A load that fails behind its first page, and the next run, each with its settings; returns that one's messages."""
    is_well = False

    def serving(_: int, query: Query) -> Answer:
        return page(query, rows, total=len(rows)) if is_well or query["offset"] == ["0"] else (503, {}, {})

    with api(serving) as url:
        with pytest.raises(ApiUnavailable, match=r"\d+ rows of this stream are kept"):
            sync(url, spool, backoff_max_seconds=0, **json.loads(json.dumps(first)))
        is_well = True
        return sync(url, spool, **json.loads(json.dumps(then)))


@pytest.mark.parametrize("drift", ["discard_value", "discard_row"])
def test_a_load_that_goes_on_still_tells_what_the_records_of_its_first_run_lost(drift: str, tmp_path: Path) -> None:
    """Digits that were cut and fields that were left out, none of which the second run meets."""
    rows = [row | ({"at": f"{row['at']}.1234567"} if row["id"] < 5 else {"x": 1} if row["id"] in (5, 6) else {}) for row in ROWS]
    in_two_runs(tmp_path, rows, {"on_schema_drift": drift}, {"on_schema_drift": drift})
    [document] = documents(tmp_path)
    assert [note for note in document["notes"] if note.startswith("at: 5 values had a digit finer")], document["notes"]
    became = "left out" if drift == "discard_value" else "record left out"
    assert document["drift"] == [{"field": "x", "became": became, "records": 2, "type": None}]
    assert document["left_out"] == (0 if drift == "discard_value" else 2)


@pytest.mark.parametrize("widened", [False, True], ids=["same", "widened"])
def test_a_load_that_goes_on_has_the_columns_that_its_first_run_added(widened: bool, tmp_path: Path) -> None:
    """Whether or not they come again: a number, and JSON of which the second run has text alone."""
    rows = [row | ({"x": 7, "y": ["a"]} if row["id"] < 5 else {"y": "b"} if row["id"] > 20 else {}) for row in ROWS]
    evolve = {"on_schema_drift": "evolve"}
    columns = {"id": ID if widened else {"type": "integer", "x-sql-datatype": "int"}, "price": PRICE, "at": AT}
    first = {"schema": {"properties": columns | {"id": {"type": "integer", "x-sql-datatype": "int"}}}}
    in_two_runs(tmp_path, rows, evolve | {"stream": first}, evolve | {"stream": {"schema": {"properties": columns}}})
    found = [(row["x"], row["y"]) for row in staged(tmp_path)]
    assert found == [(7, '["a"]') if n < 5 else (None, '"b"' if n > 20 else None) for n in range(25)]
    [document] = documents(tmp_path)
    assert "it goes on behind 10 rows of a run that failed" in document["notes"]
    assert [(each["field"], each["records"]) for each in document["drift"]] == [("x", 5), ("y", 5)]


def test_a_load_does_not_go_on_where_it_is_to_look_back_further(tmp_path: Path) -> None:
    rows = [ROWS[17], *ROWS[:17], *ROWS[18:]]  # the first page has a record within the new lookback
    bookmark = {"replication_key": "at", "replication_key_value": "2026-01-20T00:00:00.000000"}
    first = {"state": {"bookmarks": {"things": bookmark}}, "stream": {"replication_key": "at"}}
    is_well = False

    def serving(_: int, query: Query) -> Answer:
        return page(query, rows, total=25) if is_well or query["offset"] == ["0"] else (503, {}, {})

    with api(serving) as url:
        with pytest.raises(ApiUnavailable):
            sync(url, tmp_path, backoff_max_seconds=0, **json.loads(json.dumps(first)))
        is_well = True
        sync(url, tmp_path, **(first | {"stream": {"replication_key": "at", "lookback": 2 * 86400}}))
    assert ids(tmp_path) == list(range(17, 25))


def test_a_load_does_not_go_on_with_another_replication_key(tmp_path: Path) -> None:
    """Its bookmark would be a value of the key before."""
    sent = in_two_runs(tmp_path, ROWS, {"stream": {"replication_key": "at"}}, {"stream": {"replication_key": "id"}})
    bookmark = sent[-1]["value"]["bookmarks"]["things"]
    assert (bookmark["replication_key"], bookmark["replication_key_value"]) == ("id", "24")


def test_a_load_does_not_go_on_with_more_dead_letters_than_are_allowed_by_now(tmp_path: Path) -> None:
    rows = [row | ({"price": "dear"} if row["id"] == 3 else {}) for row in ROWS]
    with pytest.raises(TooManyDeadLetters, match=r'max_dead_letters is 0: page 1, record 4, price: "dear" is not a number'):
        in_two_runs(tmp_path, rows, {"max_dead_letters": 1}, {})
    assert not documents(tmp_path)


ID = {"type": "integer", "x-sql-datatype": "bigint"}  # it was int
PRICE = {"type": ["number", "null"], "x-sql-datatype": "decimal(12,3)"}  # it was decimal(9,2), and never NULL
AT = {"type": "string", "x-sql-datatype": "datetime"}
COLOUR = {"type": ["string", "null"]}
MENDED = {"id": ID, "price": PRICE, "at": AT, "colour": COLOUR}


@pytest.mark.parametrize(
    ("columns", "goes_on"),
    [
        (MENDED, True),
        (MENDED | {"at": {"type": "string"}}, False),  # text, which the rows that are kept have no more
        (MENDED | {"colour": {"type": "string"}}, False),  # never NULL, which it would be in these
        ({name: column for name, column in MENDED.items() if name != "at"}, False),
    ],
    ids=["wider, nullable and new", "text", "new and never NULL", "gone"],
)
def test_a_schema_that_was_mended_goes_on_without_reading_again(columns: dict[str, Any], goes_on: bool, tmp_path: Path) -> None:
    odd = {"price": 123456789.125, "colour": "red"}
    rows = [row | (odd if row["id"] == 21 else {"colour": "blue"} if row["id"] == 22 else {}) for row in ROWS]
    asked: list[int] = []

    def serving(_: int, query: Query) -> Answer:
        asked.append(int(query["offset"][0]))
        return page(query, rows, total=25)

    with api(serving) as url:
        with pytest.raises(TooManyDeadLetters, match=r"19 rows of this stream are kept, and the next run goes on behind them"):
            sync(url, tmp_path)
        asked.clear()
        if goes_on:
            sync(url, tmp_path, stream={"schema": {"properties": columns}})
            assert min(asked) == 18
            found = [(row["price"], row["colour"]) for row in staged(tmp_path)]
            assert found == [(Decimal(row["price"]), row.get("colour")) for row in rows]
            assert pq.read_schema(next((tmp_path / "things").glob("*.parquet"))).field("id").type == pa.int64()
        else:
            with suppress(Failure):
                sync(url, tmp_path, stream={"schema": {"properties": columns}})
            assert min(asked) == 0
            return
    [document] = documents(tmp_path)
    assert (document["rows"], document["source_rows"], document["dead_letters"]) == (25, 25, 0)
    assert {path.name for path in (tmp_path / "things").glob("*.parquet")} == {file["path"] for file in document["files"]}
    assert not list(tmp_path.rglob("*.progress.json"))
    assert not list(tmp_path.rglob("_dead_letters/*"))
