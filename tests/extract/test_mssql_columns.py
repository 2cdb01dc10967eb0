"""Bookmarks: what a column prints reads back as the same value, for every type that orders rows, over the real protocol."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settings_kit import at

from sandbox.launch import Counterpart, counterpart
from singer_arrow.errors import SelectionRefused
from tap_mssql.server.connection import connect
from tap_mssql.server.sql_types import SqlColumn, quote

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CI, BIN2, UTF8 = "SQL_Latin1_General_CP1_CI_AS", "Latin1_General_BIN2", "Latin1_General_100_CI_AS_SC_UTF8"
LATIN = "".join(map(chr, range(32, 127))) + "çãéÜß€"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sqlserver"), "--scale", "0.01") as running:
        yield running


@pytest.fixture
def one(server: Counterpart) -> Iterator[Callable[..., Any]]:
    """Runs a query of one row; values are its parameters."""
    connection = connect(at(server))
    cursor = connection.cursor()
    yield lambda sql, *values: cursor.execute(sql, *values).fetchone()
    connection.close()


def column(type_: str, length: int = 8, precision: int = 0, scale: int = 0, collation: str | None = None) -> SqlColumn:
    return SqlColumn("c", type_, length, precision, scale, False, collation=collation)


def round_trip(one: Callable[..., Any], col: SqlColumn, plain: str, *values: str) -> str:
    """What the column prints of a value; asserts that it reads back the same. `plain` is the value in SQL, written otherwise."""
    printed: str = one(f"SELECT {col.bookmark_expression(plain)}", *values)[0]
    back = col.literal(printed)
    same, again = one(f"SELECT CASE WHEN {back} = {plain} THEN 1 ELSE 0 END, {col.bookmark_expression(back)}", *values)
    assert (same, again) == (1, printed), (plain, printed)
    return printed


@pytest.mark.parametrize(("name", "bits"), [("tinyint", 0), ("smallint", 16), ("int", 32), ("bigint", 64)])
@QUICK
@given(data=st.data())
def test_integers(one: Callable[..., Any], name: str, bits: int, data: st.DataObject) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits else (0, 255)
    value = data.draw(st.integers(low, high) | st.sampled_from([low, high]))
    assert int(round_trip(one, column(name), f"CAST('{value}' AS {name})")) == value


@pytest.mark.parametrize(("precision", "scale"), [(1, 0), (9, 2), (19, 4), (38, 0), (38, 38), (38, 10)])
@QUICK
@given(data=st.data())
def test_decimals(one: Callable[..., Any], precision: int, scale: int, data: st.DataObject) -> None:
    unscaled = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    value = Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))
    col = column("decimal", 17, precision, scale)
    assert Decimal(round_trip(one, col, f"CAST('{value:f}' AS {col.declared})")) == value


@pytest.mark.parametrize(("name", "bits"), [("money", 64), ("smallmoney", 32)])
@QUICK
@given(data=st.data())
def test_money_keeps_four_digits(one: Callable[..., Any], name: str, bits: int, data: st.DataObject) -> None:
    value = Decimal(data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))).scaleb(-4)
    assert Decimal(round_trip(one, column(name), f"CAST('{value:f}' AS {name})")) == value


@QUICK
@given(value=st.floats(allow_nan=False, allow_infinity=False).filter(lambda v: v == 0 or abs(v) > 2.3e-308))
def test_floats(one: Callable[..., Any], value: float) -> None:
    assert float(round_trip(one, column("float", 8, 53), f"CAST('{value!r}' AS float)")) == value


@QUICK
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda v: v == 0 or abs(v) > 1.2e-38))
def test_reals(one: Callable[..., Any], value: float) -> None:
    printed = round_trip(one, column("real", 4, 24), f"CAST('{value!r}' AS real)")
    assert struct.unpack("f", struct.pack("f", float(printed)))[0] == value


TICKS = 10_000_000


def clock(ticks: int, scale: int) -> str:
    """A time of day from ticks of 100 ns, at a scale."""
    seconds, rest = divmod(ticks, TICKS)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + (f".{rest:07d}"[: scale + 1] if scale else "")


@pytest.mark.parametrize("scale", range(8))
@QUICK
@given(day=st.dates(), ticks=st.integers(0, 86_400 * TICKS - 1), offset=st.integers(-840, 840))
def test_times_of_every_scale(one: Callable[..., Any], scale: int, day: Any, ticks: int, offset: int) -> None:
    moment = f"{day} {clock(ticks, scale)}"
    assert round_trip(one, column("datetime2", 8, 27, scale), f"CAST('{moment}' AS datetime2({scale}))").startswith(f"{day}T")
    assert clock(ticks, scale).startswith(
        round_trip(one, column("time", 5, 16, scale), f"CAST('{clock(ticks, scale)}' AS time({scale}))")[:8]
    )
    if 2 < day.year < 9998:
        zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
        col = column("datetimeoffset", 10, 34, scale)
        assert round_trip(one, col, f"CAST('{moment} {zone}' AS {col.declared})").endswith(zone)


@QUICK
@given(day=st.dates())
def test_dates(one: Callable[..., Any], day: Any) -> None:
    assert round_trip(one, column("date", 3), f"CAST('{day}' AS date)") == str(day)


@QUICK
@given(day=st.integers(0, 9990 * 365 - 1753 * 365), tick=st.integers(0, 300 * 86_400 - 1))
def test_datetime_of_three_hundredths(one: Callable[..., Any], day: int, tick: int) -> None:
    text = f"{clock(round(tick / 300 * 1000) * 10_000 % (86_400 * TICKS), 3)}"
    round_trip(one, column("datetime"), f"DATEADD(day, {day - 50_000}, CAST('1900-01-01T{text}' AS datetime))")


@QUICK
@given(minutes=st.integers(0, 179 * 365 * 1440))
def test_smalldatetime(one: Callable[..., Any], minutes: int) -> None:
    round_trip(one, column("smalldatetime", 4), f"DATEADD(minute, {minutes}, CAST('1900-01-01T00:00:00' AS smalldatetime))")


@pytest.mark.parametrize(
    ("name", "collation", "alphabet"),
    [
        ("nvarchar", CI, None),
        ("nvarchar", BIN2, None),
        ("nchar", CI, None),
        ("varchar", CI, LATIN),
        ("char", BIN2, LATIN),
        ("varchar", UTF8, None),
    ],
)
@QUICK
@given(data=st.data())
def test_strings(one: Callable[..., Any], name: str, collation: str, alphabet: str | None, data: st.DataObject) -> None:
    highest = 0xFFFF if name == "nchar" else None
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=highest)
    letters = st.sampled_from(alphabet) if alphabet else letters
    text = data.draw(st.text(letters | st.sampled_from("' \\\n];--"), max_size=12))
    col = column(name, 96, collation=collation)
    plain = f"CAST(CAST(? AS nvarchar(48)) COLLATE {collation} AS {col.declared})"
    printed = round_trip(one, col, plain, text)
    assert printed.rstrip(" ") == text.rstrip(" ")
    assert len(printed) == len(text) or not name.startswith("n") or name == "nchar"
    kept, back = one(f"SELECT {plain}, {col.literal(printed)}", text)
    assert kept == back


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 1700, "O'Brien''s", "a\\\nb", "a\\\r\nb", "a\0b", "]'; DROP TABLE x; --", "ação 😀  "]
)
def test_strings_that_break_statements(one: Callable[..., Any], text: str) -> None:
    col = column("nvarchar", 3400, collation=CI)
    assert one(f"SELECT {col.literal(text)}")[0] == text
    assert one(f"SELECT {col.bookmark_expression(col.literal(text))}")[0] == text


@QUICK
@given(value=st.binary(max_size=40))
def test_binaries(one: Callable[..., Any], value: bytes) -> None:
    plain = f"CAST(0x{value.hex()} AS varbinary(1700))"
    assert round_trip(one, column("varbinary", 1700), plain) == f"0x{value.hex().upper()}"


@QUICK
@given(value=st.binary(min_size=8, max_size=8))
def test_rowversions(one: Callable[..., Any], value: bytes) -> None:
    assert round_trip(one, column("timestamp"), f"CAST(0x{value.hex()} AS binary(8))") == f"0x{value.hex().upper()}"


@QUICK
@given(value=st.uuids())
def test_guids(one: Callable[..., Any], value: uuid.UUID) -> None:
    assert round_trip(one, column("uniqueidentifier", 16), f"CAST('{value}' AS uniqueidentifier)") == str(value).upper()


@pytest.mark.parametrize(
    ("col", "orderable", "readable"),
    [
        (column("int"), True, True),
        (column("nvarchar", 400), True, True),
        (column("nvarchar", -1), False, True),
        (column("varbinary", -1), False, True),
        (column("xml", -1), False, True),
        (column("text", 16), False, True),
        (column("hierarchyid", 892), False, True),
        (column("sql_variant", 8016), False, True),
        (column("Point3D", 40), False, False),
        (column("json", -1), False, False),
    ],
)
def test_what_orders_rows_and_what_cannot_be_read(col: SqlColumn, orderable: bool, readable: bool) -> None:
    assert (col.orderable, not col.unreadable) == (orderable, readable)
    assert readable or col.type in col.unreadable


def test_names_are_quoted() -> None:
    assert quote("a]b [c]") == "[a]]b [c]]]"


def test_a_bookmark_of_bytes_that_is_not_hex_is_refused() -> None:
    with pytest.raises(SelectionRefused, match=r"column 'c' \(rowversion\): '0x0; DROP' is not a binary value"):
        column("timestamp").literal("0x0; DROP")
