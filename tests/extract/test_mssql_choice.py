"""What a catalog selects is the same without the SDK as with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.singerlib import Catalog

from singer_arrow.catalog import is_selected
from singer_arrow.errors import SelectionRefused
from tap_mssql.config.settings import parse
from tap_mssql.plan.stream_choice import choose
from tap_mssql.server.sql_types import SqlColumn
from tap_mssql.server.table import Table

NAMES = ("id", "a", "b")
COLUMNS = tuple(SqlColumn(name, "int", 4, 10, 0, name != "id") for name in NAMES)
TABLE = Table("dbo", "T", False, COLUMNS, ("id",), None)
SETTINGS = {"host": "h", "database": "d", "user": "u", "password": "p"}
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "selected": st.sampled_from([True, False, None]),
        "selected-by-default": st.booleans(),
        "inclusion": st.sampled_from(["available", "automatic", "unsupported"]),
    },
)


def entry(root: dict[str, Any], columns: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    metadata = [{"breadcrumb": ["properties", name], "metadata": flags} for name, flags in columns.items()]
    schema = {"type": "object", "properties": {name: {"type": ["integer"]} for name in NAMES}}
    whole = [{"breadcrumb": [], "metadata": root}, *metadata]
    return {"tap_stream_id": "dbo-T", "stream": "dbo-T", "schema": schema, "metadata": whole} | more


@given(FLAGS, st.dictionaries(st.sampled_from(NAMES), FLAGS))
def test_streams_and_columns_are_selected_as_the_sdk_selects_them(
    root: dict[str, Any], columns: dict[str, dict[str, Any]]
) -> None:
    given_entry = entry(root, columns)
    found = Catalog.from_dict({"streams": [given_entry]}).get_stream("dbo-T")
    assert found is not None
    mask = found.metadata.resolve_selection()
    assert is_selected(given_entry) == mask[()]
    if mask[()]:
        chosen = choose(TABLE, parse(SETTINGS), given_entry).columns
        sdk = [c for c in COLUMNS if mask[("properties", c.name)] or c.name == "id"]
        assert list(chosen) == sdk


def test_settings_come_before_the_catalog_and_the_catalog_before_the_table() -> None:
    plain = choose(TABLE, parse(SETTINGS), None)
    assert (plain.key, plain.replication_method, plain.replication_column) == (("id",), "FULL_TABLE", None)
    catalog = entry({"selected": True, "replication-key": "a", "replication-method": "INCREMENTAL"}, {}, key_properties=["b"])
    by_catalog = choose(TABLE, parse(SETTINGS), catalog)
    assert (by_catalog.key, by_catalog.replication_key, by_catalog.replication_method) == (("b",), "a", "INCREMENTAL")
    options = {"stream_options": {"dbo.*": {"key": ["a"], "replication_key": "b"}}}
    by_settings = choose(TABLE, parse(SETTINGS | options), catalog)
    assert (by_settings.key, by_settings.replication_key, by_settings.replication_method) == (("a",), "b", "INCREMENTAL")


def test_the_default_method_is_that_of_streams_that_name_neither_a_method_nor_a_replication_key() -> None:
    incremental = parse(SETTINGS | {"default_replication_method": "INCREMENTAL"})
    assert choose(TABLE, incremental, None).replication_method == "INCREMENTAL"
    assert choose(TABLE, parse(SETTINGS), None).replication_method == "FULL_TABLE"
    assert choose(TABLE, incremental, {"replication_method": "FULL_TABLE"}).replication_method == "FULL_TABLE"
    assert choose(TABLE, parse(SETTINGS), {"replication_key": "id"}).replication_method == "INCREMENTAL"


def test_a_key_that_cannot_be_read_is_none_for_a_whole_load_and_refused_for_a_merge() -> None:
    """With on_unreadable: skip, which leaves its column out: no load could name it."""
    table = Table("dbo", "T", False, (SqlColumn("k", "encrypted int", 4, 10, 0, False), *COLUMNS), ("k",), None, True)
    skips = SETTINGS | {"on_unreadable": "skip"}
    assert choose(table, parse(skips), None).request({}).key == ()
    for options in ({"replication_key": "a"}, {"replication_method": "LOG_BASED"}):
        chosen = choose(table, parse(skips | {"stream_options": {"dbo.T": options}}), None)
        with pytest.raises(SelectionRefused, match="column k of its key can't be read"):
            chosen.request({})
    named = choose(table, parse(skips | {"stream_options": {"dbo.T": {"replication_key": "a", "key": ["id"]}}}), None)
    assert named.request({}).key == ("id",)


@pytest.mark.parametrize("said", [{"lookback": 60}, {"start_value": "1"}, {"end_value": "9"}])
@pytest.mark.parametrize("method", [{}, {"replication_method": "FULL_TABLE"}, {"replication_method": "LOG_BASED"}])
def test_what_a_pattern_says_of_windows_is_for_incremental_streams_alone(method: dict[str, str], said: dict[str, Any]) -> None:
    """A stream of another method has none: it need not have a key for it, and is compared and read whole like any other."""
    table = Table("dbo", "T", False, COLUMNS, ("id",) if "LOG_BASED" in method.values() else (), None, True)
    options = [{"pattern": "dbo.T", **method}, {"pattern": "*.*", **said}]
    request = choose(table, parse(SETTINGS | {"stream_options": options}), None).request({})
    assert not request.is_backfill and not request.lookback
    incremental = [{"pattern": "dbo.T", "replication_key": "a", "key": ["id"]}, {"pattern": "*.*", **said}]
    request = choose(table, parse(SETTINGS | {"stream_options": incremental}), None).request({})
    assert request.is_backfill or request.lookback
