"""Any JSON value in any declared column ends in it exactly, or its record is rejected with the reason."""

from __future__ import annotations

import base64
import json
import math
import struct
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from time import process_time as time_of_process
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from singer_arrow.converter import Converted, RecordConverter
from singer_arrow.declared import Declared
from singer_arrow.errors import NameRefused, SelectionRefused

TYPES: dict[str, Declared] = {
    name: Declared(pa.field("value", arrow), is_json=name == "json", is_bare=name == "double")
    for name, arrow in {
        "bool": pa.bool_(), "int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64(), "real": pa.float32(),
        "double": pa.float64(), "money": pa.decimal128(19, 4), "wide": pa.decimal128(38, 6), "whole": pa.decimal128(38, 0),
        "fraction": pa.decimal128(4, 4), "date": pa.date32(), "local": pa.timestamp("us"), "utc": pa.timestamp("us", tz="UTC"),
        "time6": pa.time64("us"), "time7": pa.time64("ns"), "text": pa.string(), "bytes": pa.binary(), "json": pa.string(),
    }.items()
}  # fmt: skip
REJECTED = object()


class Number(str):
    """A number of JSON, or one of Python's words for what is none, as it is written."""


def read(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=Number)


def expected(name: str, text: str) -> Any:
    """What a column must hold, worked out with Python's json, decimal and fractions alone."""
    arrow, value = TYPES[name].field.type, read(text)
    if value is None:
        return None
    if name == "json":
        return text if is_json(text) else REJECTED
    if name == "bool":
        return value if isinstance(value, bool) else REJECTED
    if name == "text":
        return value if isinstance(value, str) and not isinstance(value, Number) and is_unicode(value) else REJECTED
    if name == "bytes":
        return base64_of(value)
    if isinstance(value, Number) and name in ("real", "double"):
        return float_of(value, name == "double")
    if pa.types.is_integer(arrow) and isinstance(value, Number) and value.lstrip("-")[0].isdigit():
        number, most = Fraction(value), 2 ** (arrow.bit_width - 1)
        return int(number) if number.denominator == 1 and -most <= number < most else REJECTED
    if pa.types.is_decimal(arrow) and (isinstance(value, Number) or (isinstance(value, str) and is_number(value))):
        if not is_number(value):
            return REJECTED
        number = Fraction(value)
        scaled = number * 10**arrow.scale
        return number if scaled.denominator == 1 and abs(scaled) < 10**arrow.precision else REJECTED
    return REJECTED


def is_json(text: str) -> bool:
    words: list[str] = []
    json.loads(text, parse_constant=words.append)
    return not words


def is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite() and text == text.strip() and text.isascii() and "_" not in text
    except ArithmeticError:
        return False


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def base64_of(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True) if not isinstance(value, Number) else REJECTED
    except (ValueError, TypeError):
        return REJECTED


def float_of(text: str, is_double: bool) -> Any:
    if not text.lstrip("-")[0].isdigit():
        return float(text)
    number, digits = Fraction(text), len(Decimal(text).normalize().as_tuple().digits)
    nearest = math.copysign(float(text) if is_double else nearest_real(number), -1 if text[0] == "-" else 1)
    if math.isinf(nearest):
        return REJECTED
    if Fraction(nearest) == number:
        return nearest
    most = 17 if is_double else 9
    return nearest if digits <= most and Fraction(f"{nearest:.{digits - 1}e}") == number else REJECTED


def nearest_real(number: Fraction) -> float:
    """The float32 nearest to a number; ties go to the even one."""
    sign, size = (-1 if number < 0 else 1), abs(number)
    bits = [0, 0x7F800000]
    while bits[1] - bits[0] > 1:
        middle = sum(bits) // 2
        bits[Fraction(*struct.unpack("<f", struct.pack("<I", middle))[0].as_integer_ratio()) > size] = middle
    low, high = (Fraction(2**128) if each == 0x7F800000 else Fraction(as_float(each)) for each in bits)
    nearer = bits[0] if size - low < high - size or (size - low == high - size and bits[0] % 2 == 0) else bits[1]
    return math.copysign(as_float(nearer), sign)


def as_float(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,44})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**16), max_value=10**16).map(lambda d: f"{d:f}"),
)
PLAIN = st.one_of(
    NUMBERS,
    NUMBERS.map(json.dumps),
    st.text().map(json.dumps),
    st.text(st.characters(categories=["Cs", "L"])).map(json.dumps),
    st.binary().map(lambda each: json.dumps(base64.b64encode(each).decode())),
    st.datetimes().map(lambda each: json.dumps(each.isoformat())),
    st.sampled_from(["true", "false", "null", "NaN", "Infinity", "-Infinity", '""', "{}", "[]", "-0", "-0.0", "0e9"]),
)
NESTED = st.recursive(PLAIN, lambda inner: st.one_of(
    st.lists(inner).map(lambda each: "[" + ", ".join(each) + "]"),
    st.dictionaries(st.text().filter(is_unicode), inner).map(
        lambda each: "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in each.items()) + "}"
    ),
), max_leaves=8)  # fmt: skip


def convert(name: str, *texts: str) -> Converted:
    converter = RecordConverter("orders", [TYPES[name], Declared(pa.field("n", pa.int64(), nullable=False))])
    found = converter.convert([f'{{"value": {text}, "n": {n}}}'.encode() for n, text in enumerate(texts)])
    assert found.batch.column("n").to_pylist() + [each.index for each in found.rejected] == sorted(
        range(len(texts)), key=lambda n: (n in [each.index for each in found.rejected], n)
    ), "every record is in the batch or rejected, in its order"
    found.batch.validate(full=True)
    return found


def value(name: str, text: str) -> Any:
    """The one value as Arrow has it, or REJECTED."""
    found = convert(name, "null", text, "null")  # the good ones beside it stay
    if found.rejected:
        assert found.batch.num_rows == 2
        assert found.rejected[0].field == "value" and found.rejected[0].reason
        assert json.dumps(text)[1:-1][:5] in json.dumps(found.rejected[0].record.decode())
        return REJECTED
    return found.batch.column("value")[1]


@pytest.mark.parametrize("name", [n for n in TYPES if n not in ("date", "local", "utc", "time6", "time7")])
@given(text=NESTED)
@example(text="1e39")
@example(text="16777217")
@example(text="9007199254740993")
@example(text="1e-400")
@example(text="0.1")
@example(text="0.10000000000000001")
@example(text="0.1000000000000000055511151231257827021181583404541015625")
@example(text="5.0")
@example(text="1e3")
@example(text="1e1000")
@example(text="1" * 5000)
@example(text="32768.0")
@example(text="0." + "0" * 30 + "1")
@example(text='"12.50"')
@example(text="1000000000000000000")
@settings(max_examples=150)
def test_a_value_is_in_its_column_exactly_or_rejected(name: str, text: str) -> None:
    if len(text) > 4000:  # of so many digits Python itself reads no int
        assert value(name, text) is REJECTED if name != "json" else value(name, text).as_py() == text
        return
    wanted, found = expected(name, text), value(name, text)
    if wanted is REJECTED or found is REJECTED:
        assert found is wanted, f"{text}: {found} instead of {wanted}"
        return
    got = found.as_py()
    if isinstance(wanted, float):
        assert got == wanted or (math.isnan(got) and math.isnan(wanted))
        assert wanted or math.copysign(1, got) == math.copysign(1, wanted)
    else:
        assert (Fraction(got) if isinstance(wanted, Fraction) else got) == wanted


YEARS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))


@given(
    moment=st.datetimes(),
    digits=st.text("0123456789", max_size=9),
    zone=st.sampled_from(["", "Z", "+00:00", "+02:00", "-03:30", "+14:00", "-0800"]),
)
@example(moment=datetime(1, 1, 1), digits="", zone="+02:00")
@example(moment=datetime(9999, 12, 31, 23, 59, 59), digits="9999999", zone="-03:30")
def test_a_moment_is_an_instant_with_a_zone_and_a_local_time_without(moment: datetime, digits: str, zone: str) -> None:
    text = moment.replace(microsecond=0).isoformat() + ("." + digits if digits else "") + zone
    micros = int(digits[:6].ljust(6, "0"))
    for name in ("local", "utc"):
        found = value(name, json.dumps(text))
        if bool(zone) is (name == "local"):
            assert found is REJECTED
            continue
        hours, minutes = (int(zone[1:3]), int(zone[-2:])) if len(zone) > 1 else (0, 0)
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[:1] == "-" else 1)
        since = moment.replace(microsecond=micros) - datetime(1970, 1, 1) - offset
        inside = YEARS[0] - datetime(1970, 1, 1, tzinfo=UTC) <= since <= YEARS[1] - datetime(1970, 1, 1, tzinfo=UTC)
        assert (found is REJECTED) is not inside
        if inside:
            assert found.value == since // timedelta(microseconds=1)


@given(moment=st.times(), digits=st.text("0123456789", max_size=9), day=st.dates())
def test_times_of_day_and_dates(moment: time, digits: str, day: date) -> None:
    text = moment.replace(microsecond=0).isoformat() + ("." + digits if digits else "")
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second
    assert value("time7", json.dumps(text)).value == seconds * 10**9 + int(digits[:7].ljust(9, "0"))
    assert value("time6", json.dumps(text)).value == seconds * 10**6 + int(digits[:6].ljust(6, "0"))
    assert value("date", json.dumps(day.isoformat())).as_py() == day


@pytest.mark.parametrize("name", ["date", "local", "utc", "time6", "time7"])
@given(text=NESTED)
@example(text='"0000-01-01"')
@example(text='"2026-02-30T00:00:00"')
@example(text='"24:00:00"')
@example(text='"12:00:00Z"')
def test_what_is_no_time_is_rejected(name: str, text: str) -> None:
    found = value(name, text)
    if found is REJECTED or read(text) is None:
        return
    plain = read(text)
    assert isinstance(plain, str), text
    if name == "date":
        assert found.as_py() == date.fromisoformat(plain)
    elif name in ("local", "utc"):
        assert found.as_py().replace(tzinfo=None) == datetime.fromisoformat(plain).replace(tzinfo=None)


def test_digits_that_are_cut_are_counted_and_kept_as_text_on_request() -> None:
    columns = [
        Declared(pa.field("at", pa.timestamp("us", tz="UTC")), "datetimeoffset"),
        Declared(pa.field("on", pa.timestamp("us")), "datetime"),
        Declared(pa.field("time", pa.time64("ns")), "time(7)"),
    ]
    converter = RecordConverter("orders", columns, keep_100ns=True)
    texts = ("2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.1234560Z", "2026-01-01T00:00:00Z")
    rows = [{"at": at, "on": "2026-01-01T00:00:00.0000001", "time": "10:00:00.123456789"} for at in texts]
    found = converter.convert([*map(msgspec.json.encode, rows), b'{"at": "?"}'])
    assert found.batch.schema.names == ["at", "at_100ns", "on", "time"]
    assert found.batch.column("at_100ns").to_pylist() == list(texts)
    assert found.batch.column("at").to_pylist()[0] == datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)
    assert dict(converter.cut) == {"at": 1, "on": 3, "time": 3} and [each.index for each in found.rejected] == [3]
    assert converter.notes[0] == (
        "at: 1 values had a digit finer than a microsecond, which timestamp[us, tz=UTC] does not hold; at_100ns has the text"
    )
    with pytest.raises(SelectionRefused, match="at_100ns"):
        RecordConverter("orders", [*columns, Declared(pa.field("at_100ns", pa.string()))], keep_100ns=True)


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ('{"value": 1, "value": "x"}', "value", '"x" is not a whole number'),  # of two members the last counts
        ('{"value": %s}' % ("[" * 2000 + "]" * 2000), "value", "not a whole number"),
        ("[1]", None, "not a JSON object"),
        ('{"value": 1', None, "not a JSON object"),
        ('{"value": 1},{"value": 2}', None, "not a JSON object"),
        ('{"value": 01}', None, "not a JSON object"),
        ("", None, "not a JSON object"),
        ('{"value": 1e1000000}', "value", "not a whole number that int32 holds"),
        ('{"value": null}', "value", "NULL or missing"),
        ("{}", "value", "NULL or missing"),
        ('{"value": 1, "other": 2}', "other", "not declared"),
        ('{"value": 2147483648}', "value", "int32"),
        ('{"value": 0.5}', "value", "0.5 is not a whole number"),
        ('{"value": true}', "value", "true is not a whole number"),
        (b'{"value": "\xff"}', "value", "not a whole number"),
    ],
)
def test_a_record_that_does_not_fit_is_rejected_and_its_neighbours_are_not(record: Any, field: str | None, reason: str) -> None:
    converter = RecordConverter("orders", [Declared(pa.field("value", pa.int32(), nullable=False))])
    raw = record if isinstance(record, bytes) else record.encode()
    found = converter.convert([b'{"value": 7}', raw, b'{"value": 8.0}'])
    assert found.batch.column("value").to_pylist() == [7, 8]
    [rejected] = found.rejected
    assert (rejected.index, rejected.field, rejected.record) == (1, field, raw)
    assert reason in rejected.reason, rejected.reason


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("json", "[" * 2000 + "]" * 2000, "nested deeper"),
        ("json", '{"a": NaN}', "not JSON"),
        ("text", '"\\ud800"', "UTF-8"),
        ("double", "9007199254740993", "declare x-sql-datatype: decimal"),
        ("double", "1e400", "1e400"),
        ("double", "1e-400", "1e-400"),
        ("double", '"NaN"', "not a number"),
        ("money", "NaN", "NaN is not a number"),
        ("money", "1e1000000", "1e1000000 has digits that decimal128(19, 4) does not hold"),
        ("money", "1e-1000000", "does not hold"),
        ("money", "1e99999999999999999999", "not a number"),
        ("money", "1.00001", "1.00001 has digits"),
        ("money", '"1_000"', "not a number"),
        ("utc", '"2020-01-01T00:00:00"', "x-sql-datatype: datetime2"),
        ("local", '"2020-01-01T00:00:00Z"', "x-sql-datatype: datetimeoffset"),
        ("utc", '"0001-01-01T00:00:00+02:00"', "years 1 to 9999"),
        ("bytes", '"?"', "base64"),
        ("bool", "1", "1 is not true or false"),
    ],
)
def test_reasons_say_what_is_wrong(name: str, text: str, reason: str) -> None:
    [rejected] = convert(name, text).rejected
    assert reason in rejected.reason, rejected.reason


def test_the_words_of_python_for_no_number_are_doubles_and_nothing_else() -> None:
    assert [str(x) for x in convert("double", "NaN", "Infinity", "-Infinity", "1").batch.column("value").to_pylist()] == [
        "nan", "inf", "-inf", "1.0",
    ]  # fmt: skip
    assert convert("real", "-Infinity").batch.column("value").to_pylist() == [-math.inf]
    assert len(convert("int64", "NaN", "Infinity", "1").rejected) == 2


def test_a_secret_value_stands_in_no_reason() -> None:
    converter = RecordConverter("orders", [Declared(pa.field("card", pa.int32()), is_secret=True)])
    [rejected] = converter.convert([b'{"card": "4711-0815"}']).rejected
    assert "4711" not in rejected.reason and "secret" in rejected.reason


def records(*rows: dict[str, Any]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


PLAIN_ID = [Declared(pa.field("id", pa.int64(), nullable=False))]


def test_freeze_rejects_records_with_fields_that_are_not_declared() -> None:
    converter = RecordConverter("orders", PLAIN_ID)
    found = converter.convert(records({"id": 1}, {"id": 2, "new": 1}))
    assert found.batch.to_pylist() == [{"id": 1}]
    assert [(each.index, each.field) for each in found.rejected] == [(1, "new")]
    assert [(each.field, each.became, each.records) for each in converter.drift] == [("new", "rejected", 1)]


def test_discard_value_and_discard_row_leave_out_and_count() -> None:
    rows = records({"id": 1}, {"id": 2, "new": 1, "old": None}, {"id": 3, "new": 2})
    converter = RecordConverter("orders", PLAIN_ID, "discard_value")
    for _ in range(2):  # the second page goes the careful way at once
        found = converter.convert(rows)
        assert (found.batch.to_pylist(), found.rejected, found.left_out) == ([{"id": 1}, {"id": 2}, {"id": 3}], [], [])
    assert {each.field: (each.became, each.records) for each in converter.drift} == {
        "new": ("left out", 4),
        "old": ("left out", 2),
    }
    converter = RecordConverter("orders", PLAIN_ID, "discard_row")
    found = converter.convert(rows)
    assert (found.batch.to_pylist(), found.rejected, found.left_out) == ([{"id": 1}], [], [1, 2])
    assert {each.field: each.became for each in converter.drift} == {"new": "record left out", "old": "record left out"}


@pytest.mark.parametrize(
    ("values", "arrow", "held"),
    [
        ([True, None], pa.bool_(), [True, None]),
        ([1, 2.0], pa.int64(), [1, 2]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([2**63 + 1, 1], pa.string(), ["9223372036854775809", "1"]),
        (["a", "1"], pa.string(), ["a", "1"]),
        ([{"a": 1}, [1]], pa.string(), ['{"a": 1}', "[1]"]),
        ([1, "a"], pa.string(), ["1", '"a"']),
    ],
)
def test_evolve_adds_a_column_of_a_type_that_the_values_have(values: list[Any], arrow: pa.DataType, held: list[Any]) -> None:
    converter = RecordConverter("orders", PLAIN_ID, "evolve")
    assert converter.convert(records({"id": 0})).batch.schema.names == ["id"]
    found = converter.convert(records({"id": 1}, *({"id": 2, "new": each} for each in values)))
    assert found.batch.schema.field("new").type == arrow and converter.schema == found.batch.schema
    assert found.batch.column("new").to_pylist() == [None, *held]
    assert [(each.field, each.became, each.type) for each in converter.drift] == [("new", "column", str(arrow))]
    later = converter.convert(records({"id": 9}))
    assert later.batch.to_pylist() == [{"id": 9, "new": None}]


def test_evolve_waits_for_a_value_keeps_an_earlier_type_and_refuses_names_that_meet_in_delta() -> None:
    converter = RecordConverter("orders", PLAIN_ID, "evolve", evolved={"price": "double"})
    assert converter.convert(records({"id": 1, "new": None})).batch.schema.names == ["id"]
    found = converter.convert(records({"id": 1, "price": 1}, {"id": 2, "price": "x"}))
    assert found.batch.to_pylist() == [{"id": 1, "price": 1.0}] and found.rejected[0].field == "price"
    with pytest.raises(NameRefused, match="ID"):
        converter.convert(records({"id": 1, "ID": 2}))


def test_a_page_that_is_odd_but_good_costs_the_next_ones_no_second_reading() -> None:
    converter = RecordConverter("orders", PLAIN_ID)
    assert converter.convert([b'{"id": 5.0}']).batch.to_pylist() == [{"id": 5}]
    assert converter.convert([b'{"id": 6}', b'{"id": 7.0}']).batch.to_pylist() == [{"id": 6}, {"id": 7}]
    assert len(converter.convert([b'{"id": "x"}', b'{"id": 8}']).rejected) == 1
    assert converter.convert([]).batch.num_rows == 0


def test_names_and_pages_of_any_kind() -> None:
    columns = [Declared(pa.field(name, pa.string())) for name in ('a"b', "ü", "", "class", "c0", "a b", "__x")]
    converter = RecordConverter("orders", columns)
    row = {column.name: column.name for column in columns}
    assert converter.convert(records(row)).batch.to_pylist() == [row]


@pytest.mark.parametrize("name", [n for n in TYPES if n not in ("date", "local", "utc", "time6", "time7")])
@given(texts=st.lists(st.one_of(PLAIN, NUMBERS), max_size=12))
@settings(max_examples=60)
def test_a_page_is_what_its_records_are_one_by_one(name: str, texts: list[str]) -> None:
    wanted = [expected(name, text) for text in texts]
    found = convert(name, *texts)
    assert [each.index for each in found.rejected] == [place for place, each in enumerate(wanted) if each is REJECTED]
    held = found.batch.column("value").to_pylist()
    for got, want in zip(held, (each for each in wanted if each is not REJECTED), strict=True):
        assert got == want or (isinstance(want, float) and math.isnan(want) and math.isnan(got)) or Fraction(got) == want


def test_a_page_that_is_bad_from_end_to_end_takes_its_time_and_not_for_ever() -> None:
    converter = RecordConverter("orders", [Declared(pa.field(name, pa.timestamp("us", tz="UTC"))) for name in ("a", "b")])
    page = [b'{"a": "2026-01-01T00:00:00", "b": 7}'] * 5_000
    began = time_of_process()
    assert len(converter.convert(page).rejected) == 5_000
    assert time_of_process() - began < 5
