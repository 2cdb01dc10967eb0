"""Discovery: what sys.* says about tables, views, their columns, keys and indexes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from settings_kit import at

from sandbox.launch import Counterpart, counterpart
from singer_arrow.errors import SelectionRefused
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, connect
from tap_mssql.server.diagnosis import diagnose
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.sql_types import quote
from tap_mssql.server.table import Table


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
    return {t.stream: t for t in discovery.discover(connection, at(server))}


def test_of_the_chosen_streams_only_the_wanted_are_described_and_every_pattern_must_still_mean_something(
    server: Counterpart,
) -> None:
    def found(wanted: list[str], *streams: str, options: str = "Sales.*") -> list[str]:
        given = at(server, streams=list(streams), stream_options=[{"pattern": options, "key": ["x"]}])
        opened = connect(given)
        try:
            return [table.stream for table in discovery.discover(opened, given, wanted)]
        finally:
            opened.close()

    assert found(["Sales-SalesTerritory", "Person-Nobody"]) == ["Sales-SalesTerritory"]
    assert found(["Sales-SalesTerritory", "Production-Product"], "Production.*") == ["Production-Product"]
    assert found([], "Production.*") == []
    with pytest.raises(SelectionRefused, match=r"Sale\.\*"):
        found(["Sales-SalesTerritory"], "Sale.*")
    with pytest.raises(SelectionRefused, match="stream_options"):
        found(["Sales-SalesTerritory"], options="Sale.*")


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
    assert discovery.again(connection, order) == order
    assert discovery.again(connection, replace(order, object_id=1)) is None


def test_a_reader_of_everything_is_denied_nothing(found: dict[str, Table], connection: Connection) -> None:
    assert discovery.denied(connection, found["Sales-SalesOrderHeader"]) == frozenset()


def test_settings_choose_what_is_discovered(server: Counterpart, connection: Connection) -> None:
    def chosen(**changes: Any) -> list[str]:
        return [t.stream for t in discovery.discover(connection, at(server, **changes))]

    assert chosen(streams="Sales.*Detail") == ["Sales-SalesOrderDetail"]
    assert {s.partition("-")[0] for s in chosen(filter_dbs="sales, Person", streams=["!*.v*"])} == {"Sales", "Person"}
    assert not [s for s in chosen(streams=["!Sales.*"]) if s.startswith("Sales-")]
    with pytest.raises(SelectionRefused, match=r"Sales\.SalesOrderHeadr: did you mean Sales\.SalesOrderHeader"):
        chosen(streams="Sales.SalesOrderHeadr")
    with pytest.raises(SelectionRefused, match=r"stream_options: .*\n  Sale.x: "):
        chosen(stream_options={"Sale.x": {"lookback": 5}})
    with pytest.raises(SelectionRefused, match="filter_dbs"):
        chosen(filter_dbs="Nope")


def run(server: Counterpart, *statements: str) -> None:
    connection = connect(at(server))
    for statement in statements:
        connection.execute(statement).close()
    connection.close()


def streams(server: Counterpart, **changes: Any) -> dict[str, Table]:
    connection = connect(at(server))
    found = {t.stream: t for t in discovery.discover(connection, at(server, **changes))}
    connection.close()
    return found


@pytest.mark.parametrize("name", ["Order Details", "a.b", "x]y[", 'it\'s "so"', "up/down", "emoji 😀", "ação"])
def test_tables_and_columns_of_any_name_are_found_and_read(server: Counterpart, name: str) -> None:
    quoted = quote(name)
    run(server, f"CREATE TABLE dbo.{quoted} ({quoted} int NOT NULL PRIMARY KEY)", f"INSERT INTO dbo.{quoted} VALUES (7)")
    table = streams(server, streams=[f"dbo.{name}"])[f"dbo-{name}"]
    assert (table.key, table.columns[0].name) == ((name,), name)
    connection = connect(at(server))
    assert discovery.denied(connection, table) == frozenset()
    with connection.execute(f"SELECT {table.columns[0].expression} FROM {table.quoted}") as cursor:
        assert cursor.fetchone()[0] == 7
    connection.close()


def test_only_indexes_that_hold_every_row_count(server: Counterpart) -> None:
    run(
        server,
        "CREATE TABLE dbo.Indexed (a int NOT NULL, b int NOT NULL, c int NULL, d nvarchar(20) NOT NULL, e int NOT NULL)",
        "CREATE UNIQUE INDEX u1 ON dbo.Indexed (a, b)",
        "CREATE UNIQUE INDEX u2 ON dbo.Indexed (c)",
        "CREATE UNIQUE INDEX u3 ON dbo.Indexed (e) WHERE e > 5",
        "CREATE INDEX i1 ON dbo.Indexed (d) INCLUDE (e)",
    )
    table = streams(server, streams="dbo.Indexed")["dbo-Indexed"]
    assert (table.key, table.has_primary_key) == (("a", "b"), False)
    assert set(table.indexes) == {("a", "b"), ("c",), ("d",)}


def test_a_table_that_changes_says_so(server: Counterpart) -> None:
    run(server, "CREATE TABLE dbo.Moving (a int NOT NULL PRIMARY KEY, b varchar(10) NULL)")
    before = streams(server, streams="dbo.Moving")["dbo-Moving"]
    run(server, "ALTER TABLE dbo.Moving ALTER COLUMN b varchar(40) NULL", "ALTER TABLE dbo.Moving ADD c money NULL")
    connection = connect(at(server))
    after = discovery.again(connection, before)
    assert after and [c.declared for c in after.columns] == ["int", "varchar(40)", "money"]
    assert before.modify_date and after.modify_date and after.modify_date > before.modify_date
    run(server, "DROP TABLE dbo.Moving")
    assert discovery.again(connection, before) is None
    connection.close()


def test_synonyms_are_streams_when_asked_for(server: Counterpart, caplog: pytest.LogCaptureFixture) -> None:
    run(server, "CREATE SYNONYM dbo.Orders FOR Sales.SalesOrderHeader", "CREATE SYNONYM dbo.Elsewhere FOR Other.dbo.t")
    assert not {"dbo-Orders", "dbo-Elsewhere"} & set(streams(server))
    found = streams(server, include_synonyms=True)
    synonym, order = found["dbo-Orders"], found["Sales-SalesOrderHeader"]
    assert (synonym.is_synonym, synonym.key, synonym.columns) == (True, order.key, order.columns)
    assert "dbo-Elsewhere" not in found
    assert "synonym dbo.Elsewhere is left out: it stands for [Other].[dbo].[t], in another database" in caplog.text
    connection = connect(at(server))
    assert discovery.again(connection, synonym) == synonym
    connection.close()


def test_denied_columns_and_tables_are_told(server: Counterpart) -> None:
    run(
        server,
        "CREATE TABLE dbo.Secret (a int NOT NULL PRIMARY KEY, [it's b] int NULL, c int NULL)",
        "CREATE TABLE dbo.Closed (a int NOT NULL PRIMARY KEY, b int NULL)",
        "DENY SELECT ON dbo.Secret([it's b]) TO reader",
        "DENY SELECT ON dbo.Closed TO reader",
    )
    found = streams(server, streams="dbo.*")
    connection = connect(at(server))
    asked: list[str] = []
    asking = SimpleNamespace(execute=lambda sql: asked.append(sql) or connection.execute(sql))
    assert discovery.denied(asking, found["dbo-AllTypes"]) == frozenset()  # type: ignore[arg-type]
    assert len(asked) == 1 and "HAS_PERMS_BY_NAME" not in asked[0], "one question for a table that may be read whole"
    assert discovery.denied(connection, found["dbo-Secret"]) == {"it's b"}
    assert discovery.denied(connection, found["dbo-Closed"]) == {"a", "b"}
    for table, number in (("dbo.Secret", 230), ("dbo.Closed", 229)):
        with pytest.raises(DRIVER_ERRORS) as refused:
            connection.execute(f"SELECT * FROM {table}").fetchall()
        assert diagnose(refused.value).number == number
    connection.close()


def test_descriptions_come_along(server: Counterpart) -> None:
    run(
        server,
        "CREATE TABLE dbo.Told (a int NOT NULL PRIMARY KEY)",
        "EXEC sp_addextendedproperty N'MS_Description', N'Número 😀', N'SCHEMA', N'dbo', N'TABLE', N'Told', N'COLUMN', N'a'",
    )
    assert streams(server, streams="dbo.Told")["dbo-Told"].columns[0].description == "Número 😀"


def test_a_variant_is_text_with_all_of_its_value(server: Counterpart) -> None:
    values = {
        "CAST(0.1 AS float)": "1.0000000000000001e-001",
        "CAST(922337203685477.5807 AS money)": "922337203685477.5807",
        "CAST('2026-01-02T03:04:05.997' AS datetime)": "2026-01-02T03:04:05.997",
        "CAST('2026-01-02 03:04:05.1234567' AS datetime2(7))": "2026-01-02 03:04:05.1234567",
        "CAST('2026-01-02 03:04:05.1234567 +02:00' AS datetimeoffset(7))": "2026-01-02 03:04:05.1234567 +02:00",
        "CAST(N'ação' AS nvarchar(20))": "ação",
        "CAST(0x00FF AS varbinary(8))": "0x00FF",
        "CAST(123456789.12345 AS decimal(20, 5))": "123456789.12345",
        "NULL": None,
    }
    rows = [f"INSERT INTO dbo.Variants VALUES ({number}, {value})" for number, value in enumerate(values)]
    run(server, "CREATE TABLE dbo.Variants (id int NOT NULL PRIMARY KEY, v sql_variant NULL)", *rows)
    column = streams(server, streams="dbo.Variants")["dbo-Variants"].columns[1]
    connection = connect(at(server))
    with connection.execute(f"SELECT {column.expression} FROM dbo.Variants ORDER BY id") as cursor:
        assert [row[0] for row in cursor.fetchall()] == list(values.values())
    connection.close()


def test_upper_and_lower_twins_of_a_case_sensitive_database(tmp_path: Path) -> None:
    with counterpart("sqlserver", tmp_path, "--scale", "0.01", "--collation", "Latin1_General_CS_AS") as server:
        run(server, "CREATE TABLE dbo.Twin (a int NOT NULL, A int NOT NULL)", "CREATE TABLE dbo.TWIN (a int NOT NULL)")
        found = streams(server, streams="dbo.Twin")
        assert [c.name for c in found["dbo-Twin"].columns] == ["a", "A"]
        assert [c.name for c in found["dbo-TWIN"].columns] == ["a"]


def test_tables_whose_streams_would_share_a_name_are_refused(server: Counterpart) -> None:
    run(server, "CREATE SCHEMA [a-b]", "CREATE SCHEMA a", "CREATE TABLE [a-b].c (x int)", "CREATE TABLE a.[b-c] (x int)")
    with pytest.raises(SelectionRefused, match=r"stream a-b-c: schema '.*' table '.*' and schema"):
        streams(server, streams="a*")
    assert set(streams(server, streams="a.*")) == {"a-b-c"}


@pytest.mark.parametrize("cut", [True, "between rows"])
def test_a_cut_link_is_never_taken_for_the_end_of_the_catalog(tmp_path: Path, cut: bool | str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"statements": [{"match": "sys[.]columns", "after_rows": 40, "close": cut}]}))
    with counterpart("sqlserver", tmp_path, "--scale", "0.01", "--faults", str(faults)) as server:
        connection = connect(at(server))
        with pytest.raises(DRIVER_ERRORS) as broken:
            discovery.discover(connection, at(server))
        assert diagnose(broken.value).what == "the connection broke"
        assert discovery.discover(connect(at(server)), at(server))


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
    [table] = discovery.tables(rows)
    assert (table.key, table.has_primary_key) == (("e",), False)
    assert table.indexes == (("a", "b"), ("c",), ("d",), ("f",))
    assert [c.name for c in table.columns] == list("abcdef")
    assert table.row_bytes == 819


def test_a_key_is_in_its_index_order_whatever_the_columns_order() -> None:
    primary = (1, True, True, False, True)
    [table] = discovery.tables([row("t", 1, "a", (*primary, 2)), row("t", 2, "b", (*primary, 1))])
    assert (table.key, table.has_primary_key) == (("b", "a"), True)


@pytest.mark.parametrize("type_", ["CLR Point3D", "encrypted nvarchar", "json", "vector"])
def test_unreadable_columns_say_why(type_: str) -> None:
    [table] = discovery.tables([row("t", 1, "a", type=type_)])
    assert type_ in table.columns[0].unreadable
    assert not table.columns[0].orderable
