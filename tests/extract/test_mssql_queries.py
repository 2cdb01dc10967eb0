"""`queries`: streams that are a SELECT of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import Tap, connect, execute, good, same, select

from sandbox.launch import Counterpart, counterpart
from singer_arrow.documents import KeyRange
from singer_arrow.errors import SettingsRefused
from tap_mssql.config.settings import parse
from tap_mssql.doctor import checks
from tap_mssql.server.table import Table
from tap_mssql.singer import batch_output, reconciling
from tap_mssql.singer.run import Run

# A literal with what a careless reader would take for a parameter, a quote and an end; a column that an outer join fills up.
SQL = """
SELECT o.id, o.at, o.total, [name] = c.name, N'it''s; (@x' AS note, CAST(o.total * 2 AS decimal(20,6)) AS twice
FROM dbo.Orders AS o LEFT JOIN dbo.Customers AS c ON c.id = o.customer
WHERE o.total > 3
"""
QUERY = {"name": "Sales.Open-Orders", "sql": SQL, "key": ["id"]}
STREAM = "Sales-Open-Orders"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("queries"), "--only-parquet") as running:
        execute(
            running,
            "CREATE TABLE dbo.Customers (id int NOT NULL PRIMARY KEY, name nvarchar(40) COLLATE Latin1_General_BIN2 NOT NULL)",
            "CREATE TABLE dbo.Orders (id int NOT NULL PRIMARY KEY, customer int NULL, at datetime2(3) NOT NULL, "
            "total decimal(19,4) NOT NULL)",
            "INSERT INTO dbo.Customers VALUES (1, N'Zoë'), (2, N'Bo')",
        )
        rows = (f"({n}, {n % 3 or 'NULL'}, '2024-01-{1 + n // 10:02d}T10:00:00.125', {n}.0625)" for n in range(60))
        execute(running, f"INSERT INTO dbo.Orders VALUES {', '.join(rows)}")
        yield running


def only(**more: Any) -> dict[str, Any]:
    return {"queries": [QUERY], "streams": ["Sales.*"], **more}


def test_a_query_is_a_stream_with_its_own_types_its_key_and_its_rows(server: Counterpart, tmp_path: Path) -> None:
    ran = good(Tap(server, tmp_path).read(**only()))
    assert ran.streams == {STREAM}
    expected = select(server, SQL)
    same(ran.table(STREAM), expected)
    document = ran.document(STREAM)
    assert 0 < expected.num_rows < 60 and document["source_rows"] == expected.num_rows
    assert document["key_columns"] == ["id"]
    schema = ran.table(STREAM).schema
    assert {f.name: (str(f.type), f.nullable) for f in schema} == {
        "id": ("int32", False),
        "at": ("timestamp[us]", False),
        "total": ("decimal128(19, 4)", False),
        "name": ("string", True),
        "note": ("string", True),
        "twice": ("decimal128(20, 6)", True),
    }


def test_a_text_key_carries_the_collation_that_the_server_compares_it_by(server: Counterpart, tmp_path: Path) -> None:
    query = {"name": "Sales.Names", "sql": "SELECT DISTINCT name, N'x' AS x FROM dbo.Customers", "key": ["name"]}
    ran = good(Tap(server, tmp_path).read(queries=[query], streams=["Sales.*"]))
    found = {column["name"]: column.get("collation") for column in ran.document("Sales-Names")["schema"]}
    assert found == {"name": "Latin1_General_BIN2", "x": None}


def test_it_is_chosen_and_narrowed_like_a_table(server: Counterpart, tmp_path: Path) -> None:
    tap = Tap(server, tmp_path)
    every = good(tap.read(queries=[QUERY]))
    assert every.streams == {"dbo-Customers", "dbo-Orders", STREAM}
    without = good(tap.read(queries=[QUERY], streams=["!Sales.*"]))
    assert without.streams == {"dbo-Customers", "dbo-Orders"}
    part = good(tap.read(**only(stream_options=[{"pattern": "Sales.*", "where": "name = N'Zoë' AND total < 20"}])))
    same(part.table(STREAM), select(server, f"SELECT * FROM ({SQL}) AS q WHERE name = N'Zoë' AND total < 20"))


def test_an_incremental_query_reads_what_is_new_and_another_query_reads_the_stream_whole(
    server: Counterpart, tmp_path: Path
) -> None:
    tap, by = Tap(server, tmp_path), [{"pattern": "Sales.*", "replication_key": "at"}]
    one = good(tap.read(**only(stream_options=by)))
    assert one.document(STREAM)["mode"] == "overwrite" and one.table(STREAM).num_rows == 57
    assert "SELECT" not in str(one.state), "the bookmark holds the query's fingerprint, not its text"
    execute(
        server, "INSERT INTO dbo.Orders VALUES (100, 1, '2024-01-07', 5), (101, 1, '2024-02-01', 5), (102, 1, '2024-02-02', 1)"
    )
    two = good(tap.read(one.state, **only(stream_options=by)))
    assert set(two.table(STREAM)["id"].to_pylist()) == {*range(50, 60), 100, 101} - {102}
    assert two.document(STREAM)["mode"] == "merge"
    other = {"queries": [QUERY | {"sql": SQL.replace("> 3", "> 4")}], "streams": ["Sales.*"], "stream_options": by}
    step = tap.steps(two.state, **other)[0][STREAM]
    told = "its query is not the one it was: this load reads the stream whole"
    assert step["mode"] == "overwrite" and told in step["warnings"]
    three = good(tap.read(two.state, **other))
    assert three.document(STREAM)["mode"] == "overwrite" and three.table(STREAM).num_rows == 56 + 2
    assert told in three.document(STREAM)["notes"]
    execute(server, "DELETE FROM dbo.Orders WHERE id >= 100")


def repeating(stream: str, key: list[str], snapshot: str) -> dict[str, Any]:
    """A stream whose `code` is the same twice by its collation, not byte by byte: a query, or its table, which has no key."""
    by = {"replication_key": "at"}
    query = {"name": "Sales.Codes", "sql": "SELECT * FROM dbo.Codes", "key": key}
    options = [{"pattern": "Sales.*", **by}, {"pattern": "dbo.*", "key": key, **by}]
    return {"queries": [QUERY, query], "streams": [QUERY["name"], stream], "stream_options": options, "snapshot": snapshot}


@pytest.mark.parametrize(("stream", "snapshot"), [("Sales.Codes", "always"), ("Sales.Codes", "never"), ("dbo.Codes", "always")])
def test_a_given_key_that_two_rows_have_is_refused_before_a_merge_could_keep_one(
    server: Counterpart, tmp_path: Path, stream: str, snapshot: str
) -> None:
    execute(
        server,
        "DROP TABLE IF EXISTS dbo.Codes",
        "CREATE TABLE dbo.Codes (code varchar(9) COLLATE Latin1_General_CI_AS NOT NULL, part int NOT NULL, at datetime2(3) NULL)",
        "INSERT INTO dbo.Codes VALUES ('a', 1, '2024-01-01'), ('b', 1, '2024-01-02'), ('A', 2, NULL), ('c', 1, '2024-01-03')",
    )
    tap, codes = Tap(server, tmp_path), stream.replace(".", "-")
    one = tap.read(**repeating(stream, ["code"], snapshot))
    assert (one.code, one.streams) == (3, {STREAM}), "the other stream is read"
    assert f"stream {codes}: its key (code) does not tell its rows apart: 2 rows have code = " in one.said
    assert f"then entrypoint.sh refresh {codes} reads the stream whole" in one.said
    settled = repeating(stream, ["part", "code"], snapshot)
    two = good(tap.read(one.state, **settled))
    assert two.table(codes).num_rows == 4
    looks = tap.steps(**settled)[0][codes]["looks"]
    assert f"the source looked at {4 * looks} rows in this run" in two.document(codes)["notes"]
    execute(server, "INSERT INTO dbo.Codes VALUES ('d', 1, '2024-02-01'), ('D', 1, '2024-02-02')")
    three = tap.read(two.state, **settled)
    assert three.code == 3 and "2 rows have code = " in three.said and "part = 1" in three.said
    execute(server, "UPDATE dbo.Codes SET part = 2 WHERE at = '2024-02-02'")
    four = good(tap.read(two.state, **settled))
    assert four.document(codes)["mode"] == "merge"
    rows = {(row["code"], row["part"]) for row in four.table(codes).to_pylist()}
    assert {("d", 1), ("D", 2)} <= rows and ("D", 1) not in rows, "what the refused load had read is not taken up"


def test_the_proof_of_a_given_key_is_a_look_more_that_the_plan_says(server: Counterpart, tmp_path: Path) -> None:
    asked = {"queries": [QUERY], "streams": ["Sales.*", "dbo.Orders"], "snapshot": "always"}
    whole, by_time = (
        Tap(server, tmp_path).steps(**asked, stream_options=options)[0]
        for options in ([], [{"pattern": "*", "replication_key": "at"}])
    )
    assert by_time[STREAM]["looks"] == whole[STREAM]["looks"] + 1
    assert by_time["dbo-Orders"]["looks"] == whole["dbo-Orders"]["looks"], "its own key needs no proof"


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT id, nope FROM dbo.Orders", "Invalid column name 'nope'."),
        ("SELECT id FROM dbo.Orders ORDER BY id", "The ORDER BY clause is invalid"),
        ("SELECT id, total * 2 FROM dbo.Orders", "No column name was specified for column 2"),
        ("SELECT o.id, c.id FROM dbo.Orders AS o JOIN dbo.Customers AS c ON c.id = o.customer", "specified multiple times"),
        ("SELECT at FROM dbo.Orders", "its key names id, which its query does not select"),
    ],
)
def test_what_the_server_does_not_take_is_refused_by_name_and_stops_no_other_stream(
    sql: str, told: str, server: Counterpart, tmp_path: Path
) -> None:
    tap, given = (
        Tap(server, tmp_path),
        {"queries": [QUERY, {"name": "Sales.Bad", "sql": sql, "key": ["id"]}], "streams": ["Sales.*"]},
    )
    ran = tap.read(**given)
    assert ran.code == 3 and ran.streams == {STREAM}, "the other one is read"
    assert "stream Sales-Bad" in ran.said and told in ran.said and "correct it in queries" in ran.said
    steps, said = tap.steps(**given)
    assert set(steps) == {STREAM} and told in said
    bad = next(table for table in Run(parse(tap.config(**given)), None).tables if table.name == "Bad")
    [finding] = checks._of_table(parse(tap.config(**given)), connect(server), bad)
    assert finding.status == "failed" and told in finding.text


def test_plan_and_the_program_itself_read_it_as_a_view(server: Counterpart, tmp_path: Path) -> None:
    tap = Tap(server, tmp_path)
    steps, _ = tap.plan(**only())
    told = "a query of your own: read by one query, however long it takes; a broken one starts again"
    assert steps[STREAM]["ranges"] == 1 and told in steps[STREAM]["warnings"]
    tap.catalog = Tap(server, tmp_path / "d", settings=only()).discovered()
    [entry] = tap.catalog["streams"]
    assert entry["key_properties"] == ["id"] and set(entry["schema"]["properties"]) == {
        "id",
        "at",
        "total",
        "name",
        "note",
        "twice",
    }
    same(good(tap.run(**only())).table(STREAM), select(server, SQL))


def test_its_columns_changing_beneath_it_are_told_and_its_table_dropped_too(server: Counterpart, tmp_path: Path) -> None:
    execute(server, "CREATE TABLE dbo.Moving (id int NOT NULL PRIMARY KEY, v int NULL)", "INSERT INTO dbo.Moving VALUES (1, 1)")
    tap = Tap(server, tmp_path)
    query = {"name": "Sales.Moving", "sql": "SELECT * FROM dbo.Moving", "key": ["id"]}
    config = tap.config(queries=[query], streams=["Sales.Moving"])
    run = Run(parse(config), config["batch_config"])
    choices = batch_output.choices(run, None)  # as discovered
    execute(server, "ALTER TABLE dbo.Moving ADD w int NULL")
    with run.reading(choices, {}) as scheduler:
        [load] = list(scheduler.ended())
    assert "column w int was added" in str(load.error)
    execute(server, "DROP TABLE dbo.Moving")
    with run.reading(choices, {}) as scheduler:
        [load] = list(scheduler.ended())
    assert "the server does not take its query: Invalid object name 'dbo.Moving'." in str(load.error)


def test_reconcile_and_repair_compare_it_as_one_range(server: Counterpart, tmp_path: Path) -> None:
    config = Tap(server, tmp_path).config(**only())
    run = Run(parse(config), config["batch_config"])
    choices = batch_output.choices(run, None)
    [table] = reconciling.figures(run, choices).tables
    assert not table.problem and table.bounds == [] and [each.rows for each in table.ranges] == [57]
    with run.reading_requests([choices[0].request({}).repairing([KeyRange(None, None)])]) as scheduler:
        [load] = list(scheduler.ended())
    assert load.error is None and load.document is not None and load.document.source_rows == 57


def test_a_table_has_a_name_for_itself_and_changes_of_a_query_are_not_tracked(server: Counterpart, tmp_path: Path) -> None:
    tap = Tap(server, tmp_path)
    taken = tap.read(queries=[QUERY | {"name": "DBO.orders"}])
    assert taken.code == 2 and "the database has a table or view of the name DBO.orders" in taken.said
    tracked = tap.read(**only(stream_options=[{"pattern": "Sales.*", "replication_method": "LOG_BASED"}]))
    assert tracked.code == 2 and "is LOG_BASED, and its table has no primary key" in tracked.said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sql": "WITH a AS (SELECT 1 AS x) SELECT x FROM a"}, "must begin with SELECT; make a view of what begins with WITH"),
        ({"sql": "SELECT 1 AS a; DROP TABLE dbo.Orders"}, "is one SELECT; ; is for statements"),
        ({"sql": "SELECT 1 AS a -- all"}, "has a comment"),
        ({"sql": "SELECT (1 AS a"}, "has parentheses that do not match"),
        ({"sql": "DELETE FROM dbo.Orders"}, "must begin with SELECT"),
        ({"name": "Orders"}, "must be schema.table"),
        ({"name": "a.*"}, "must be schema.table"),
        ({"key": ["id", "ID"]}, "names a column twice"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_no_query_is_refused_before_any_connection(change: dict[str, Any], told: str) -> None:
    base = {"host": "db.example.com", "database": "d", "user": "u", "password": "p"}
    with pytest.raises(SettingsRefused) as refused:
        parse(base | {"queries": [QUERY | change]})
    assert told in str(refused.value)
    with pytest.raises(SettingsRefused, match=r"names sales\.open-orders twice"):
        parse(base | {"queries": [QUERY, QUERY | {"name": "sales.open-orders"}]})


def test_a_table_that_is_no_query_has_no_fingerprint() -> None:
    assert not Table("a", "b", True, (), (), None).fingerprint
