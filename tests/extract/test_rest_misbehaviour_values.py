"""tap-rest-api-msdk and values that do not fit: each ends in its column exactly, or is refused by name, or is a dead letter."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_kit import runs
from api_kit.runs import Run, settings
from api_kit.server import Api, Reply, Request

JsonSchema = dict[str, Any]


def sql(declared: str, *kinds: str) -> JsonSchema:
    return {"type": [*kinds, "null"], "x-sql-datatype": declared}


@dataclass(frozen=True)
class Value:
    """A value as JSON text, in a column that is declared so."""

    column: JsonSchema
    text: str


NESTED = "[" * 2_000 + "1" + "]" * 2_000

EXACT: dict[str, tuple[Value, Any]] = {
    "1.0 as int": (Value(sql("int", "integer"), "1.0"), 1),
    "-0 as int": (Value(sql("int", "integer"), "-0"), 0),
    "2**53 + 1 as bigint": (Value(sql("bigint", "integer"), "9007199254740993"), 9007199254740993),
    "2**53 + 1 with a point as bigint": (Value(sql("bigint", "integer"), "9007199254740993.0"), 9007199254740993),
    "the greatest bigint": (Value(sql("bigint", "integer"), str(2**63 - 1)), 2**63 - 1),
    "the least bigint": (Value(sql("bigint", "integer"), str(-(2**63))), -(2**63)),
    "0.1 as real": (Value(sql("real", "number"), "0.1"), float(np.float32(0.1))),
    "16777216 as real": (Value(sql("real", "number"), "16777216"), 16777216.0),
    "0.1 as float": (Value(sql("float", "number"), "0.1"), 0.1),
    "1e308 as float": (Value(sql("float", "number"), "1e308"), 1e308),
    "5e-324 as float": (Value(sql("float", "number"), "5e-324"), 5e-324),
    "2**53 as float": (Value(sql("float", "number"), "9007199254740992"), 2.0**53),
    "0.5 as a bare number": (Value({"type": ["number", "null"]}, "0.5"), 0.5),
    "12.34000 as decimal(9,2)": (Value(sql("decimal(9,2)", "number"), "12.34000"), Decimal("12.34")),
    "1e2 as decimal(9,2)": (Value(sql("decimal(9,2)", "number"), "1e2"), Decimal("100.00")),
    "38 digits as decimal(38,0)": (Value(sql("decimal(38,0)", "number"), "9" * 38), Decimal("9" * 38)),
    "a day as date": (Value(sql("date", "string"), '"2026-02-28"'), date(2026, 2, 28)),
    "an offset as datetimeoffset": (
        Value(sql("datetimeoffset", "string"), '"2026-01-01T00:00:00+02:00"'),
        datetime(2025, 12, 31, 22, tzinfo=UTC),
    ),
    "the first instant as datetimeoffset": (
        Value(sql("datetimeoffset", "string"), '"0001-01-01T00:00:00-02:00"'),
        datetime(1, 1, 1, 2, tzinfo=UTC),
    ),
    "the last instant as datetime2": (
        Value(sql("datetime2", "string"), '"9999-12-31T23:59:59.999999"'),
        datetime(9999, 12, 31, 23, 59, 59, 999999),
    ),
    "an escaped emoji": (Value(sql("nvarchar(50)", "string"), '"\\ud83d\\ude00"'), "\N{GRINNING FACE}"),
    "a zero character": (Value(sql("nvarchar(50)", "string"), '"a\\u0000b"'), "a\0b"),
    "an empty text": (Value(sql("nvarchar(50)", "string"), '""'), ""),
    "null": (Value(sql("nvarchar(50)", "string"), "null"), None),
}

REFUSED: dict[str, Value] = {
    "1.5 as int": Value(sql("int", "integer"), "1.5"),
    "a text as int": Value(sql("int", "integer"), '"1"'),
    "true as int": Value(sql("int", "integer"), "true"),
    "2**31 as int": Value(sql("int", "integer"), str(2**31)),
    "40000 as smallint": Value(sql("smallint", "integer"), "40000"),
    "2**63 as bigint": Value(sql("bigint", "integer"), str(2**63)),
    "1e400 as bigint": Value(sql("bigint", "integer"), "1e400"),
    "1e39 as real": Value(sql("real", "number"), "1e39"),
    "16777217 as real": Value(sql("real", "number"), "16777217"),
    "1e-50 as real": Value(sql("real", "number"), "1e-50"),
    "2**53 + 1 as float": Value(sql("float", "number"), "9007199254740993"),
    "1e400 as float": Value(sql("float", "number"), "1e400"),
    "1e-400 as float": Value(sql("float", "number"), "1e-400"),
    "a text as float": Value(sql("float", "number"), '"0.5"'),
    "1.125 as decimal(9,2)": Value(sql("decimal(9,2)", "number"), "1.125"),
    "123456789.01 as decimal(9,2)": Value(sql("decimal(9,2)", "number"), "123456789.01"),
    "1e1000000 as decimal(9,2)": Value(sql("decimal(9,2)", "number"), "1e1000000"),
    "an instant before year 1": Value(sql("datetimeoffset", "string"), '"0001-01-01T00:00:00+02:00"'),
    "an instant behind year 9999": Value(sql("datetimeoffset", "string"), '"9999-12-31T23:59:59-02:00"'),
    "February 30": Value(sql("datetime2", "string"), '"2026-02-30T00:00:00"'),
    "a word as time": Value(sql("datetime2", "string"), '"yesterday"'),
    "a number as time": Value(sql("datetime2", "string"), "1767225600"),
    "a number as text": Value(sql("nvarchar(50)", "string"), "5"),
    "null in a column without null": Value({"type": ["integer"], "x-sql-datatype": "int"}, "null"),
}

BROKEN: dict[str, str] = {  # whole records: what they are, as JSON
    "the primary key is null": '{"id":null,"v":1}',
    "the primary key is missing": '{"v":1}',
    "a record is a number": "5",
    "a record is null": "null",
    "a record is a list": "[1]",
    "a value is missing": '{"id":2}',
}


def serve(records: dict[str, list[str]]) -> Any:
    """One page of each path's records, given as JSON texts; behind it an empty one."""

    def answer(request: Request) -> Reply:
        found = records[request.path] if request.parameters.get("offset", "0") == "0" else []
        total = len(records[request.path])
        return Reply(f'{{"total":{total},"data":[{",".join(found)}]}}'.encode(), start=0)

    return answer


def stream(name: str, column: JsonSchema, **more: Any) -> dict[str, Any]:
    """A stream with the columns id and v."""
    key = {"type": ["integer"], "x-sql-datatype": "int"}
    return {"name": name, "path": f"/{name}", "primary_keys": ["id"], "schema": {"properties": {"id": key, "v": column}}, **more}


def names(cases: dict[str, Any]) -> dict[str, str]:
    """A stream's name for each case."""
    return {what: f"s{number}" for number, what in enumerate(cases)}


def exact_run(folder: Path, batch: bool) -> Run:
    named = names(EXACT)
    records = {f"/{named[what]}": [f'{{"id":1,"v":{value.text}}}'] for what, (value, _) in EXACT.items()}
    with Api(serve(records)) as api:
        streams = [stream(named[what], value.column) for what, (value, _) in EXACT.items()]
        return runs.run(folder, settings(api.url, folder / "spool" if batch else None, *streams))


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of all values that have an exact place."""
    return exact_run(tmp_path_factory.mktemp("exact"), batch=True)


@pytest.mark.parametrize("what", EXACT)
def test_a_value_with_an_exact_place_is_there(what: str, exact: Run) -> None:
    runs.bounded(exact)
    name, (_, wanted) = names(EXACT)[what], EXACT[what]
    [row] = exact.staged(name)
    assert row == {"id": 1, "v": wanted}
    assert type(row["v"]) is type(wanted)


def test_records_hold_the_same_values(tmp_path: Path) -> None:
    """RECORD output: numbers have the same value, whatever their notation; times are texts."""
    run = exact_run(tmp_path, batch=False)
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    for what, name in names(EXACT).items():
        [record], wanted = run.records(name), EXACT[what][1]
        if isinstance(wanted, datetime):
            assert datetime.fromisoformat(str(record["v"])) == wanted
        elif isinstance(wanted, date):
            assert str(record["v"]) == wanted.isoformat()
        elif isinstance(wanted, int | float | Decimal) and "real" not in what:
            assert Decimal(str(record["v"])) == Decimal(str(wanted)), what
        elif not isinstance(wanted, float):
            assert record["v"] == wanted, what


def failing_run(folder: Path, **more: Any) -> Run:
    """One run of a stream per value that has no place, each with a good record behind."""
    named = names(REFUSED)
    good = {"null in a column without null": "7"}
    records = {
        f"/{named[what]}": [f'{{"id":1,"v":{value.text}}}', f'{{"id":2,"v":{good.get(what, "null")}}}']
        for what, value in REFUSED.items()
    }
    with Api(serve(records)) as api:
        streams = [stream(named[what], value.column) for what, value in REFUSED.items()]
        return runs.run(folder, settings(api.url, folder / "spool", *streams, **more))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return failing_run(tmp_path_factory.mktemp("failing"))


@pytest.fixture(scope="module")
def lettered(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return failing_run(tmp_path_factory.mktemp("lettered"), max_dead_letters=1)


@pytest.mark.parametrize("what", REFUSED)
def test_a_value_without_a_place_is_refused_by_name(what: str, failing: Run) -> None:
    runs.bounded(failing)
    assert failing.code == runs.REFUSED, failing.log
    name = names(REFUSED)[what]
    assert not failing.documents(name)
    told = [line for line in failing.log.splitlines() if re.search(rf"stream {name}\b", line)]
    assert any(re.search(r"\bv\b", line) for line in told), failing.log


def letters(run: Run, name: str) -> list[dict[str, Any]]:
    """The dead letters of a stream's load."""
    load = run.document(name)["load_id"]
    files = [path for path in run.spool.parent.rglob("_dead_letters/*.jsonl") if path.name == f"{load}.jsonl"]
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.mark.parametrize("what", REFUSED)
def test_a_value_without_a_place_is_a_dead_letter_where_that_is_allowed(what: str, lettered: Run) -> None:
    runs.bounded(lettered)
    name = names(REFUSED)[what]
    assert [row["id"] for row in lettered.staged(name)] == [2]
    document = lettered.document(name)
    assert (document["rows"], document["dead_letters"], document["source_rows"]) == (1, 1, 2)
    [letter] = letters(lettered, name)
    assert letter["stream"] == name
    assert letter["field"] == "v"
    assert letter["reason"]
    assert {"page", "position"} <= letter.keys()
    raw = next(value for key, value in letter.items() if key in ("record", "raw", "raw_record"))
    assert json.loads(raw if isinstance(raw, str) else json.dumps(raw))["id"] == 1


@pytest.mark.parametrize("what", BROKEN)
def test_a_record_that_breaks_the_contract_is_refused_or_a_dead_letter(what: str, tmp_path: Path) -> None:
    records = {"/s": ['{"id":1,"v":1}', BROKEN[what]]}
    column = {"type": ["integer"], "x-sql-datatype": "int"}
    for allowed in (0, 1):
        folder = tmp_path / str(allowed)
        with Api(serve(records)) as api:
            run = runs.run(folder, settings(api.url, folder / "spool", stream("s", column), max_dead_letters=allowed))
        runs.bounded(run)
        if not allowed:
            assert run.code == runs.REFUSED, run.log
            assert "id" in run.log if "primary key" in what else True, run.log
            assert not run.documents("s")
        else:
            assert run.code == runs.ENDED, run.log
            assert run.staged("s") == [{"id": 1, "v": 1}]
            assert len(letters(run, "s")) == run.document("s")["dead_letters"] == 1


def test_more_dead_letters_than_allowed_end_the_stream(tmp_path: Path) -> None:
    records = {"/s": ['{"id":1,"v":1}', '{"id":2,"v":"a"}', '{"id":3,"v":"b"}']}
    with Api(serve(records)) as api:
        config = settings(api.url, tmp_path / "spool", stream("s", sql("int", "integer")), max_dead_letters=1)
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == runs.REFUSED
    assert "max_dead_letters" in run.log
    assert not run.documents("s")


def single(folder: Path, column: JsonSchema, *records: str, **more: Any) -> Run:
    """A run of one stream with these records."""
    with Api(serve({"/s": list(records)})) as api:
        run = runs.run(folder, settings(api.url, folder / "spool", stream("s", column), **more))
    runs.bounded(run)
    return run


def test_the_seventh_digit_of_a_time_is_cut_and_counted(tmp_path: Path) -> None:
    texts = ("2026-01-01T00:00:00.1234567", "2026-01-01T00:00:00.1234560", "2026-01-01T00:00:00.9999999")
    records = [f'{{"id":{number},"v":"{text}"}}' for number, text in enumerate(texts)]
    run = single(tmp_path, sql("datetime2", "string"), *records)
    assert run.code == runs.ENDED, run.log
    assert [row["v"].microsecond for row in runs.in_order(run.staged("s"))] == [123456, 123456, 999999]
    assert any("2 " in note and "v" in note for note in run.document("s")["notes"]), run.document("s")["notes"]


def test_keep_100ns_keeps_the_seventh_digit_beside(tmp_path: Path) -> None:
    record = '{"id":1,"v":"2026-01-01T00:00:00.1234567"}'
    run = single(tmp_path, sql("datetime2(7)", "string"), record, keep_100ns=True)
    assert run.code == runs.ENDED, run.log
    [row] = run.staged("s")
    assert row["v"] == datetime(2026, 1, 1, 0, 0, 0, 123456)
    assert row["v_100ns"] == "2026-01-01T00:00:00.1234567"


@pytest.mark.parametrize("digits", ["9007199254740993", "0.1", "1e-400", "1e400", "123456789.123456789", "0.30000000000000004"])
def test_a_bare_number_keeps_its_digits_or_is_refused(digits: str, tmp_path: Path) -> None:
    run = single(tmp_path, {"type": ["number", "null"]}, f'{{"id":1,"v":{digits}}}')
    if run.code == runs.ENDED:
        [row] = run.staged("s")
        assert Decimal(str(row["v"])) == Decimal(digits)
    else:
        assert run.code == runs.REFUSED, run.log


@pytest.mark.parametrize("record", ['{"id":1,"v":1,"v":2}', '{"id":7,"v":2,"id":1}'])
def test_a_field_that_comes_twice_has_its_last_value_or_is_refused(record: str, tmp_path: Path) -> None:
    run = single(tmp_path, sql("int", "integer"), record)
    if run.code == runs.ENDED:
        assert run.staged("s") == [{"id": 1, "v": 2}]
    else:
        assert run.code == runs.REFUSED, run.log


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "'1'", "0x1F"])
def test_what_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    assert single(tmp_path, sql("float", "number"), f'{{"id":1,"v":{text}}}').code == runs.REFUSED


@pytest.mark.parametrize("text", [NESTED, '"\\ud83d"'], ids=["2,000 deep", "half an emoji"])
@pytest.mark.parametrize("allowed", [0, 1])
def test_what_json_readers_do_not_read_is_exact_or_refused_or_a_dead_letter(text: str, allowed: int, tmp_path: Path) -> None:
    column: JsonSchema = {"type": ["array", "string", "null"]}
    run = single(tmp_path, column, f'{{"id":1,"v":{text}}}', '{"id":2,"v":null}', max_dead_letters=allowed)
    if run.code == runs.ENDED:
        found = [row["v"] for row in runs.in_order(run.staged("s"))]
        assert found == [text, None] or (allowed and found == [None] and run.document("s")["dead_letters"] == 1)
    else:
        assert run.code == runs.REFUSED, run.log
        assert not run.documents("s")
        assert len(run.log) < 3_000


@pytest.mark.parametrize("depth", [100_000, 1_000_000])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "not declared"])
def test_a_value_nested_deeper_than_any_reader_goes_crashes_nothing(depth: int, declared: bool, tmp_path: Path) -> None:
    name = "v" if declared else "w"
    run = single(tmp_path, {"type": ["array", "null"]}, f'{{"id":1,"{name}":{"[" * depth}{"]" * depth}}}')
    if run.code == runs.ENDED:
        assert declared
        assert run.staged("s") == [{"id": 1, "v": "[" * depth + "]" * depth}]
    else:
        assert run.code == runs.REFUSED, f"exit {run.code}: {run.log[-3000:]}"
        assert len(run.log) < 20_000


DRIFT = ('{"id":1,"v":1}', '{"id":2,"v":2,"more":"x"}', '{"id":3,"v":3}')


def drifted(folder: Path, how: str) -> Run:
    return single(folder, sql("int", "integer"), *DRIFT, on_schema_drift=how)


def test_a_new_field_is_refused_where_the_schema_is_frozen(tmp_path: Path) -> None:
    run = drifted(tmp_path, "freeze")
    assert run.code == runs.REFUSED
    assert "more" in run.log
    assert not run.documents("s")


def test_a_new_field_is_left_out_with_discard_value(tmp_path: Path) -> None:
    run = drifted(tmp_path, "discard_value")
    assert run.code == runs.ENDED, run.log
    assert runs.in_order(run.staged("s")) == [{"id": number, "v": number} for number in (1, 2, 3)]
    assert [each["field"] for each in run.document("s")["drift"]] == ["more"]


def test_a_record_with_a_new_field_is_left_out_with_discard_row(tmp_path: Path) -> None:
    run = drifted(tmp_path, "discard_row")
    assert run.code == runs.ENDED, run.log
    assert [row["id"] for row in runs.in_order(run.staged("s"))] == [1, 3]
    assert [(each["field"], each["records"]) for each in run.document("s")["drift"]] == [("more", 1)]
    assert (run.document("s")["left_out"], run.document("s")["source_rows"]) == (1, 3)


def test_a_new_field_becomes_a_column_with_evolve(tmp_path: Path) -> None:
    run = drifted(tmp_path, "evolve")
    assert run.code == runs.ENDED, run.log
    assert [row.get("more") for row in runs.in_order(run.staged("s"))] == [None, "x", None]
    assert [each["field"] for each in run.document("s")["drift"]] == ["more"]
