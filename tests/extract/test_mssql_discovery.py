"""Discovery: what sys.* says about tables, views, their columns, keys and indexes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tap_mssql")
sys.path.insert(0, str(Path(__file__).parent))
from settings_kit import at

from sandbox.launch import Counterpart, counterpart
from tap_mssql import catalog
from tap_mssql.catalog import Table
from tap_mssql.connect import Connection, connect
from tap_mssql.errors import SelectionRefused
from tap_mssql.faults import judge
from tap_mssql.retry import DRIVER_ERRORS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sqlserver"), "--scale", "0.01") as running:
        yield running


@pytest.fixture
def connection(server: Counterpart) -> Iterator[Connection]:
    opened = connect(at(server))
    yield opened
    opened.close()


@pytest.fixture
def found(server: Counterpart, connection: Connection) -> dict[str, Table]:
    return {t.stream: t for t in catalog.discover(connection, at(server))}


def test_tables_and_views_have_their_keys_indexes_and_estimates(found: dict[str, Table]) -> None:
    order = found["Sales-SalesOrderHeader"]
    assert (order.key, order.has_primary_key, order.is_view) == (("SalesOrderID",), True, False)
    assert order.indexes == (("SalesOrderID",), ("rowguid",), ("SalesOrderNumber",))
    assert order.row_estimate and order.row_estimate > 0
    assert order.description == "General sales order information."
    assert order.object_id and order.modify_date
    assert found["Sales-SalesOrderDetail"].key == ("SalesOrderID", "SalesOrderDetailID")
    view = found["Sales-vOrderTotals"]
    assert (view.is_view, view.key, view.row_estimate, view.row_bytes) == (True, (), None, 0)
    assert found["Production-TransactionNotes"].key == ()


def test_columns_have_exact_types(found: dict[str, Table]) -> None:
    order = found["Sales-SalesOrderHeader"]
    declared = {c.name: c.declared for c in order.columns}
    assert declared["OrderDate"] == "datetime"
    assert declared["SubTotal"] in ("money", "decimal(19,4)")
    assert declared["SalesOrderNumber"] == "nvarchar(25)"
    total, number = order.column("TotalDue"), order.column("SalesOrderID")
    assert total and total.computed
    assert number and number.identity and not number.nullable
    comment = order.column("Comment")
    assert comment and comment.nullable and comment.collation == "SQL_Latin1_General_CP1_CI_AS"


def test_alias_types_are_their_base_types_and_nothing_is_unreadable(found: dict[str, Table]) -> None:
    everything = [c for t in found.values() for c in t.columns]
    assert not [c for c in everything if c.unreadable]
    assert not {c.type for c in everything} & {"sysname", "Name", "Flag", "OrderNumber", "AccountNumber", "Phone"}


def test_one_table_read_again_is_what_discovery_said(found: dict[str, Table], connection: Connection) -> None:
    order = found["Sales-SalesOrderHeader"]
    assert catalog.table(connection, order.object_id) == order


def test_a_reader_of_everything_is_denied_nothing(found: dict[str, Table], connection: Connection) -> None:
    assert catalog.denied(connection, found["Sales-SalesOrderHeader"]) == frozenset()


def test_settings_choose_what_is_discovered(server: Counterpart, connection: Connection) -> None:
    def streams(**changes: Any) -> list[str]:
        return [t.stream for t in catalog.discover(connection, at(server, **changes))]

    assert streams(streams="Sales.*Detail") == ["Sales-SalesOrderDetail"]
    assert {s.partition("-")[0] for s in streams(filter_dbs="sales, Person", streams=["!*.v*"])} == {"Sales", "Person"}
    assert not [s for s in streams(streams=["!Sales.*"]) if s.startswith("Sales-")]
    with pytest.raises(SelectionRefused, match=r"Sales\.SalesOrderHeadr: did you mean Sales\.SalesOrderHeader"):
        streams(streams="Sales.SalesOrderHeadr")
    with pytest.raises(SelectionRefused, match=r"stream_options: .*\n  Sale.x: "):
        streams(stream_options={"Sale.x": {"lookback": 5}})
    with pytest.raises(SelectionRefused, match="filter_dbs"):
        streams(filter_dbs="Nope")


@pytest.mark.parametrize("cut", [True, "between rows"])
def test_a_cut_link_is_never_taken_for_the_end_of_the_catalog(tmp_path: Path, cut: bool | str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"statements": [{"match": "sys[.]columns", "after_rows": 40, "close": cut}]}))
    with counterpart("sqlserver", tmp_path, "--scale", "0.01", "--faults", str(faults)) as server:
        connection = connect(at(server))
        with pytest.raises(DRIVER_ERRORS) as broken:
            catalog.discover(connection, at(server))
        assert judge(broken.value).broken
        assert catalog.discover(connect(at(server)), at(server))


Index = tuple[int, bool, bool, bool, bool, int]


def row(table: str, ordinal: int, column: str, index: Index | None = None, **changes: Any) -> list[Any]:
    """A row of the discovery query; an index is its id, unique, primary, filtered, ordered and the column's place in it."""
    facts = {
        "schema": "dbo", "table": table, "object_id": sum(map(ord, table)), "kind": "U", "synonym": 0, "modified": None,
        "rows": 10, "bytes": 8192, "told": None, "ordinal": ordinal, "column": column, "type": "int", "length": 4,
        "precision": 10, "scale": 0, "nullable": False, "identity": False, "computed": False, "collation": None,
        "description": None,
    }  # fmt: skip
    return [*{**facts, **changes}.values(), *(index or [None] * 6)]


def test_the_shortest_usable_unique_index_is_the_key() -> None:
    ordered, filtered = (True, False, False, True), (True, False, True, True)
    rows = [
        row("t", 1, "a", (2, *ordered, 1)),
        row("t", 1, "a", (4, *filtered, 1)),
        row("t", 2, "b", (2, *ordered, 2)),
        row("t", 3, "c", (3, *ordered, 1), nullable=True),
        row("t", 4, "d", (5, False, False, False, True, 1)),
        row("t", 5, "e", (6, True, False, False, False, 1)),
        row("t", 6, "f", (7, *ordered, 1)),
    ]
    [table] = catalog.tables(rows)
    assert (table.key, table.has_primary_key) == (("e",), False)
    assert table.indexes == (("a", "b"), ("c",), ("d",), ("f",))
    assert [c.name for c in table.columns] == list("abcdef")
    assert table.row_bytes == 819


def test_a_key_is_in_its_index_order_whatever_the_columns_order() -> None:
    primary = (1, True, True, False, True)
    [table] = catalog.tables([row("t", 1, "a", (*primary, 2)), row("t", 2, "b", (*primary, 1))])
    assert (table.key, table.has_primary_key) == (("b", "a"), True)


@pytest.mark.parametrize("name", ["Order Details", "a.b", "x]y[", 'it\'s "so"', "up/down\\", "emoji 😀", "ação"])
def test_names_survive(name: str) -> None:
    [table] = catalog.tables([row(name, 1, name)])
    assert (table.stream, table.columns[0].name) == (f"dbo-{name}", name)
    assert table.quoted == "[dbo].[" + name.replace("]", "]]") + "]"


def test_upper_and_lower_twins_are_two_tables() -> None:
    found = catalog.tables([row("Twin", 1, "a", object_id=1), row("TWIN", 1, "a", object_id=2)])
    assert [t.stream for t in found] == ["dbo-Twin", "dbo-TWIN"]


@pytest.mark.parametrize("type_", ["CLR Point3D", "encrypted nvarchar", "json", "vector"])
def test_unreadable_columns_say_why(type_: str) -> None:
    [table] = catalog.tables([row("t", 1, "a", type=type_)])
    assert type_ in table.columns[0].unreadable
    assert not table.columns[0].orderable
