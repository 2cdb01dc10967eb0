"""Records that do not fit are put aside: named, masked, durable, and never more than allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from singer_arrow.converter import Rejection
from singer_arrow.dead_letters import DeadLetters
from singer_arrow.errors import TooManyDeadLetters

LOAD = "20261124T000000Z-0abc0abc0abc"


def rejection(index: int, record: str = '{"id": 1, "card": "4711"}') -> Rejection:
    return Rejection(index, "id", "1 is not text", record.encode())


def lines(letters: DeadLetters) -> list[dict[str, Any]]:
    return [json.loads(line) for line in letters.path.read_text().splitlines()]


def test_a_line_says_which_record_it_was_and_why(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, LOAD, "orders", limit=3, secret=["card"])
    letters.take([])
    assert not letters.path.exists()
    letters.take([rejection(0), rejection(4)], page=2)
    letters.take([rejection(1, '{"id":\n 1.50,\n "x": [1e2]}')], first=11)
    assert letters.path == tmp_path / f"_dead_letters/{LOAD}.jsonl" and letters.path.stat().st_mode & 0o777 == 0o600
    told = lines(letters)
    assert letters.count == 3 and [each.pop("record") for each in told][:1] == [{"id": 1, "card": "***"}]
    same = {"load_id": LOAD, "stream": "orders", "field": "id", "reason": "1 is not text"}
    assert told == [same | {"page": 2, "position": 1}, same | {"page": 2, "position": 5}, same | {"page": None, "position": 12}]
    assert '"record":{"id":1.50,"x":[1e2]}' in letters.path.read_text(), "the record as it came, on one line"


def test_more_than_allowed_end_the_stream_and_are_in_the_file_all_the_same(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, LOAD, "orders", limit=1)
    letters.take([rejection(0)], page=1)
    with pytest.raises(TooManyDeadLetters) as told:
        letters.take([rejection(n) for n in range(4)], page=2)
    text = str(told.value)
    assert (
        "stream orders: 5 records do not fit its schema, and max_dead_letters is 1: page 1, record 1, id: 1 is not text" in text
    )
    assert "page 2, record 2" in text and "; and 2 more" in text and str(letters.path) in text
    assert "set max_dead_letters to 5 or more" in text
    assert len(lines(letters)) == 5


@pytest.mark.parametrize("record", ['{"card": "4711', "4711", '{"id": NaN, "card": "4711"}'])
def test_secrets_stand_in_no_record_whatever_it_is(record: str, tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, LOAD, "orders", limit=9, secret=["card"])
    letters.take([rejection(0, record)])
    assert "4711" not in letters.path.read_text()
    assert isinstance(lines(letters)[0]["record"], str)


def test_a_record_that_is_no_json_is_kept_as_text(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, LOAD, "orders", limit=9)
    letters.take([Rejection(0, None, "it is not a JSON object", b'{"id": NaN, "\xff'), rejection(1, "[" * 2000 + "]" * 2000)])
    assert [each["record"][:10] for each in lines(letters)] == ['{"id": NaN', "[" * 10]


def test_a_resumed_load_keeps_the_dead_letters_of_the_pages_that_it_has(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, LOAD, "orders", limit=9)
    for page in (1, 2, 3):
        letters.take([rejection(0), rejection(1)], page=page)
    with letters.path.open("ab") as file:
        file.write(b'{"load_id": "torn by a power cut')
    again = DeadLetters(tmp_path, LOAD, "orders", limit=4)
    again.resume({1, 3})
    assert again.count == 4 and [each["page"] for each in lines(again)] == [1, 1, 3, 3]
    with pytest.raises(TooManyDeadLetters):
        again.take([rejection(0)], page=4)
    again.discard()
    assert not again.path.exists() and again.count == 0
    again.resume({1})
    assert again.count == 0
