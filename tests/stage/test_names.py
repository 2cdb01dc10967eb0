"""Names: one rule each, and no two things share one."""

from __future__ import annotations

from datetime import UTC, datetime

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


@given(st.text(min_size=1), st.text(min_size=1))
def test_folders_are_safe_and_never_meet(one: str, other: str) -> None:
    folder = names.folder(one)
    assert "/" not in folder and not folder.startswith(".") and folder.isascii()
    assert (folder == names.folder(other)) == (one == other)


def test_a_load_has_one_id_per_run_source_and_stream() -> None:
    moment = datetime(2026, 11, 24, 16, 12, 24, tzinfo=UTC)
    first = names.load_id("run", "tap-mssql", "a", moment)
    assert first.startswith("20261124T161224Z-") and first == names.load_id("run", "tap-mssql", "a", moment)
    assert first != names.load_id("run", "tap-mssql", "b", moment)
