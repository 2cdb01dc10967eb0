"""Names: one rule each, and no two things share one."""

from __future__ import annotations

from datetime import UTC, datetime
from string import hexdigits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_arrow import names
from singer_arrow.errors import NameRefused


@pytest.mark.parametrize(
    ("schema", "table", "delta"),
    [
        ("Sales", "SalesOrderHeader", "sales_sales_order_header"),
        ("api", "SalesOrderHeader", "api_sales_order_header"),
        ("dbo", "HTTPLog 2024", "dbo_http_log_2024"),
        ("", "Orders", "orders"),
    ],
)
def test_tables_are_snake_case(schema: str, table: str, delta: str) -> None:
    assert names.table_name(schema, table) == delta


def test_the_ledgers_name_and_empty_names_are_refused() -> None:
    with pytest.raises(NameRefused, match="no usable name"):
        names.table_name("dbo", "[]")


def test_streams_that_would_share_a_table_are_refused_by_name() -> None:
    with pytest.raises(NameRefused, match="dbo_order_line: dbo-OrderLine, dbo-order_line"):
        names.refuse_collisions([("dbo-OrderLine", "dbo_order_line"), ("dbo-order_line", "dbo_order_line"), ("x", "x")])


def test_columns_that_would_meet_are_refused() -> None:
    assert names.column_names("s", ["a b", "c"]) == {"a b": "a_b", "c": "c"}
    with pytest.raises(NameRefused, match="'a b' and 'A_B'"):
        names.column_names("s", ["a b", "A_B"])


LONG = st.builds(str.__add__, st.sampled_from(["", "x" * 236, "x" * 252, "\u0416" * 60]), st.text(min_size=1))


@given(LONG, LONG)
def test_folders_are_safe_and_never_meet(one: str, other: str) -> None:
    folder = names.folder(one)
    assert "/" not in folder and not folder.startswith(".") and folder.isascii() and len(folder) <= 255
    assert all(len(each) >= 2 and set(each[:2]) <= set(hexdigits) for each in folder.split("%")[1:])
    assert (folder == names.folder(other)) == (one == other)


def test_a_load_has_one_id_per_run_source_and_stream() -> None:
    moment = datetime(2026, 11, 24, 16, 12, 24, tzinfo=UTC)
    first = names.load_id("run", "tap-mssql", "a", moment)
    assert first.startswith("20261124T161224Z-") and first == names.load_id("run", "tap-mssql", "a", moment)
    assert first != names.load_id("run", "tap-mssql", "b", moment)


HEX = hexdigits[:16]
LOAD_IDS = st.builds(
    names.load_id,
    st.text(),
    st.text(),
    st.text(),
    st.datetimes(datetime(1000, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),
) | st.text(HEX, min_size=12, max_size=12).map(lambda digest: f"20261124T161224Z-{digest}")
NUMBERS = st.builds(
    lambda part, place, cuts: names.part_number(part, ".".join([f"{place:04d}", *map(str, cuts)]) if place else ""),
    st.integers(1, 10**6), st.integers(0, 10**6), st.lists(st.integers(0, 99), max_size=4),
)  # fmt: skip
SHA256 = st.text(HEX, min_size=64, max_size=64)


@given(LOAD_IDS, NUMBERS, SHA256)
def test_the_name_of_any_part_reads_back_as_what_it_was_made_of(load_id: str, number: str, sha256: str) -> None:
    name = names.part_name(load_id, number, sha256)
    assert names.parse_part_name(name) == (load_id, number, sha256[:12])
    for file in (name, names.load_document(load_id), f"{load_id}.plan.json", f"{load_id}.range-{number}.json"):
        assert names.load_of(file) == load_id
    assert names.load_of(names.manifest(load_id).rpartition("/")[2]) == load_id


@given(LOAD_IDS, LOAD_IDS, NUMBERS, SHA256)
def test_no_file_is_taken_for_one_of_another_load(load_id: str, other: str, number: str, sha256: str) -> None:
    for file in (names.part_name(other, number, sha256), names.load_document(other)):
        assert (names.load_of(file) == load_id) == (load_id == other)


@pytest.mark.parametrize(
    "file", ["rows.parquet", ".20261124T161224Z-0a1b2c3d4e5f-0001.parquet.7.tmp", ".lock", "20261124T161224Z-0a1b2c3d4e5"]
)
def test_files_of_no_load_have_none(file: str) -> None:
    assert names.load_of(file) is None and names.parse_part_name(file) is None
