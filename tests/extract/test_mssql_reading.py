"""Tables read in ranges are the tables: whatever their key, however they are cut, once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mssql_kit import READ, Tap, equal, execute, good, same, select

from sandbox.launch import Counterpart, counterpart

ROWS = 5_000
KEYS = {"One": "id", "Two": "[group], id"}
Faults = Callable[[list[dict[str, Any]]], None]


def numbers() -> pa.Table:
    """Rows with awkward values and NULLs, about 60 bytes each."""
    values = range(ROWS)
    return pa.table(
        {
            "id": pa.array(values, pa.int32()),
            "group": pa.array([n // 7 for n in values], pa.int32()),
            "money": pa.array([None if n % 11 == 0 else Decimal(n).scaleb(-4) for n in values], pa.decimal128(19, 4)),
            "at": pa.array(
                [None if n % 5 == 0 else dt.datetime(2020, 1, 1) + dt.timedelta(seconds=n) for n in values], pa.timestamp("us")
            ),
            "text": pa.array([None if n % 13 == 0 else f"ação {n} 🚚" for n in values]),
        }
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("reading")
    pq.write_table(numbers(), folder / "numbers.parquet")
    options = ["--only-parquet", "--faults", str(folder / "server/faults.json")]
    for name, key in (("One", ":id"), ("Two", ":group,id"), ("Bare", "")):
        options += ["--parquet", f"big.{name}={folder / 'numbers.parquet'}{key}"]
    with counterpart("sqlserver", folder / "server", *options) as running:
        yield running


@pytest.fixture
def faults(server: Counterpart) -> Iterator[Faults]:
    """Tells the counterpart which statements to answer with which error."""
    file = server.data.parent / "faults.json"

    def write(statements: list[dict[str, Any]]) -> None:
        hidden = file.with_suffix(".new")
        hidden.write_text(json.dumps({"statements": statements}))
        hidden.replace(file)

    yield write
    write([])


@pytest.fixture
def tap(server: Counterpart, tmp_path: Path) -> Tap:
    return Tap(server, tmp_path)


@pytest.mark.parametrize("range_rows", [501, 1_000, ROWS, 1_000_000])
@pytest.mark.parametrize("table", ["One", "Two"])
def test_the_ranges_of_a_table_are_the_table(table: str, range_rows: int, tap: Tap) -> None:
    ran = good(tap.run(streams=[f"big.{table}"], range_rows=range_rows))
    equal(ran.table(f"big-{table}"), select(tap.server, f"SELECT * FROM big.{table} ORDER BY {KEYS[table]}"))
    document = ran.document(f"big-{table}")
    assert document["rows"] == document["source_rows"] == ROWS
    assert len(document["files"]) == -(-ROWS // range_rows)


def test_a_part_has_so_many_rows_at_most_as_part_rows_says(tap: Tap) -> None:
    ran = good(tap.run(streams=["big.One"], range_rows=ROWS, part_rows=1_500))
    assert [file["rows"] for file in ran.document("big-One")["files"]] == [1_500, 1_500, 1_500, 500]
    equal(ran.table("big-One"), select(tap.server, "SELECT * FROM big.One ORDER BY id"))


def test_a_table_without_a_key_is_read_whole_with_its_duplicates(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Twice (n int NULL, t nvarchar(20) NULL)")
    execute(server, *(f"INSERT INTO dbo.Twice VALUES ({n % 3}, N'{n % 2}'), (NULL, NULL)" for n in range(6)))
    ran = good(tap.run(streams=["dbo.Twice", "big.Bare"], range_rows=1_000))
    same(ran.table("dbo-Twice"), select(server, "SELECT * FROM dbo.Twice"))
    same(ran.table("big-Bare"), select(server, "SELECT * FROM big.Bare"))


def test_records_are_the_same_rows_as_parts(tap: Tap) -> None:
    parts = good(tap.run(streams=["big.One"], range_rows=700)).table("big-One")
    tap.batch = False
    records = good(tap.run(streams=["big.One"], range_rows=700)).records("big-One")
    assert [r["id"] for r in records] == parts.column("id").to_pylist()
    assert [r["text"] for r in records] == parts.column("text").to_pylist()
    assert [None if r["money"] is None else Decimal(r["money"]) for r in records] == parts.column("money").to_pylist()
    assert [None if r["at"] is None else dt.datetime.fromisoformat(r["at"]) for r in records] == parts.column("at").to_pylist()


def test_a_stream_that_fails_leaves_the_others_whole_and_is_named(server: Counterpart, tap: Tap, faults: Faults) -> None:
    faults([{"match": r"FROM \[big\]\.\[Two\] WHERE", "error": 229, "times": 99}])
    ran = tap.run(streams=["big.*"], range_rows=1_000)
    assert ran.code == 3
    assert ran.streams == {"big-One", "big-Bare"}
    equal(ran.table("big-One"), select(server, "SELECT * FROM big.One ORDER BY id"))
    assert "1 of 3 streams failed:" in ran.said and "The other 2 are complete and staged" in ran.said
    assert "stream big-Two" in ran.said and "lacks a permission" in ran.said
    assert "Traceback" not in ran.said


def test_a_table_with_the_longest_name_is_read(server: Counterpart, tap: Tap) -> None:
    """Its folder's name would be longer than file systems take."""
    name = "\u0416" * 128
    execute(server, f"CREATE TABLE dbo.[{name}] (id int NOT NULL PRIMARY KEY)", f"INSERT INTO dbo.[{name}] VALUES (1)")
    assert good(tap.run(streams=[f"dbo.{name}"])).rows == {f"dbo-{name}": {1}}


def test_names_that_are_no_table_in_delta_or_one_together_stop_no_other_stream(server: Counterpart, tap: Tap) -> None:
    names = ["Na.[\U0001f600]", "Na.TwiceOver", "Na.[Twice_Over]", "Na.Fine"]
    execute(server, "CREATE SCHEMA Na", *(f"CREATE TABLE {name} (id int NOT NULL PRIMARY KEY)" for name in names))
    ran = tap.run(streams=["Na.*"])
    assert ran.code == 3 and ran.streams == {"Na-Fine"}, ran.said
    assert "3 of 4 streams failed" in ran.said and "The other one is complete and staged" in ran.said
    assert "Na.\U0001f600: no usable name for the Delta table" in ran.said and "deselect its stream" in ran.said
    assert ran.said.count("streams that would share one Delta table: na_twice_over: Na-TwiceOver, Na-Twice_Over") == 1
    steps, _ = tap.plan(streams=["Na.*"])
    assert set(steps) == {"Na-Fine"}


def test_no_query_takes_much_longer_than_it_may_whatever_was_guessed(tap: Tap) -> None:
    """With hardly any time for a query, each is cut after its first batch, and the rest is read by others."""
    ran = good(tap.run(streams=["big.One", "big.Two"], max_query_seconds=0.001, cursor_array_size=400))
    for table in ("One", "Two"):
        equal(ran.table(f"big-{table}"), select(tap.server, f"SELECT * FROM big.{table} ORDER BY {KEYS[table]}"))
        assert max(f["rows"] for f in ran.document(f"big-{table}")["files"]) <= 1_024


def test_a_table_that_nobody_alters_is_described_when_it_is_found_and_when_it_is_opened_and_never_again(
    tap: Tap, faults: Faults
) -> None:
    faults([{"match": r"RTRIM\(o\.type\)", "skip": 2, "error": 229, "times": 99}])
    ran = good(tap.run(streams=["big.One"], range_rows=1_000))
    assert ran.document("big-One")["rows"] == ROWS


def test_what_a_broken_run_has_finished_is_read_again_by_nobody(tap: Tap, faults: Faults, server: Counterpart) -> None:
    faults([{"match": READ + r"\[id\].*FROM \[big\]\.\[One\]", "skip": 3, "error": 229, "times": 99}])
    broken = tap.run(streams=["big.One"], range_rows=600, max_parallel=1)
    assert broken.code == 3 and broken.streams == set()
    left = {path.name: path.stat().st_mtime_ns for path in tap.spool.rglob("*.parquet")}
    assert len(left) == 3
    faults([])
    ran = good(tap.run(streams=["big.One"], range_rows=600))
    equal(ran.table("big-One"), select(server, "SELECT * FROM big.One ORDER BY id"))
    assert {p.name: p.stat().st_mtime_ns for p in ran.paths("big-One") if p.name in left} == left
    assert "going on with 3 ranges with 1,800 rows" in ran.said


@pytest.mark.parametrize(
    ("number", "changes", "change"),
    [
        (1, {"resume_hours": 0}, "SELECT 1"),
        (2, {}, "DELETE FROM dbo.Resume2 WHERE id = 5"),
        (3, {}, "ALTER TABLE dbo.Resume3 ADD more int NULL"),
    ],
)
def test_what_a_broken_run_has_finished_is_used_only_where_it_is_still_so(
    number: int, changes: dict[str, Any], change: str, tap: Tap, faults: Faults, server: Counterpart
) -> None:
    name = f"Resume{number}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, t nvarchar(10) NULL)")
    execute(server, f"INSERT INTO dbo.{name} SELECT id, NULL FROM big.One WHERE id < 2000")
    faults([{"match": READ + rf"\[id\].*FROM \[dbo\]\.\[{name}\]", "skip": 2, "error": 229, "times": 99}])
    assert tap.run(streams=[f"dbo.{name}"], range_rows=600, max_parallel=1).code == 3
    faults([])
    execute(server, change)
    ran = good(tap.run(streams=[f"dbo.{name}"], range_rows=600, **changes))
    equal(ran.table(f"dbo-{name}"), select(server, f"SELECT * FROM dbo.{name} ORDER BY id"))
    assert {path.name for path in tap.spool.rglob("*.parquet")} == {path.name for path in ran.paths(f"dbo-{name}")}


def test_ranges_of_texts_are_not_gone_on_with_in_the_order_of_another_collation(
    tap: Tap, faults: Faults, server: Counterpart
) -> None:
    """Up to `a` are two rows in both orders, and not the same ones."""
    kind, change = "k nvarchar(9) COLLATE Latin1_General_{} NOT NULL", "CREATE UNIQUE INDEX ux ON dbo.Collated (k)"
    execute(server, f"CREATE TABLE dbo.Collated ({kind.format('CI_AS')})", change)
    execute(server, "INSERT INTO dbo.Collated VALUES (N'{'), (N'a'), (N'B'), (N'z')")
    faults([{"match": READ + r"\[k\].*FROM \[dbo\]\.\[Collated\]", "skip": 1, "error": 229, "times": 99}])
    assert tap.run(streams=["dbo.Collated"], range_rows=2, max_parallel=1).code == 3
    faults([])
    retyped = f"ALTER TABLE dbo.Collated ALTER COLUMN {kind.format('BIN2')}"
    execute(server, "DROP INDEX ux ON dbo.Collated", retyped, change)
    ran = good(tap.run(streams=["dbo.Collated"], range_rows=2))
    assert ran.table("dbo-Collated")["k"].to_pylist() == ["B", "a", "z", "{"]
    assert "what an earlier run left is not used: the order it is read in changed" in ran.said


def hot(times: int) -> list[dict[str, Any]]:
    """A row that comes before the rows are read, and goes before they are counted again."""
    comes = "DELETE FROM dbo.Hot WHERE id = 1000; INSERT INTO dbo.Hot VALUES (1000)"
    return [
        {"match": READ + r"\[id\].*FROM \[dbo\]\.\[Hot\]", "run": comes, "times": times},
        {"match": r"^SELECT COUNT_BIG.*FROM \[dbo\]\.\[Hot\]", "run": "DELETE FROM dbo.Hot WHERE id = 1000", "times": None},
    ]


def test_a_range_whose_rows_come_and_go_is_read_by_halves_until_it_rests(tap: Tap, faults: Faults, server: Counterpart) -> None:
    execute(server, "CREATE TABLE dbo.Hot (id int NOT NULL PRIMARY KEY)")
    execute(server, "INSERT INTO dbo.Hot SELECT id FROM big.One WHERE id < 400")
    faults(hot(times=2))
    ran = good(tap.run(streams=["dbo.Hot"], max_parallel=1, snapshot="never"))
    assert sorted(ran.table("dbo-Hot")["id"].to_pylist()) == list(range(400))
    assert [f["rows"] for f in ran.document("dbo-Hot")["files"]] == [200, 100, 100]
    faults(hot(times=99))
    ran = tap.run(streams=["dbo.Hot"], max_parallel=1, snapshot="never")
    assert ran.code == 3 and ran.streams == set()
    assert "rows, then" in ran.said and "let the database ALLOW_SNAPSHOT_ISOLATION" in ran.said


def test_a_link_that_breaks_between_two_halves_doubles_no_row(tap: Tap, faults: Faults, server: Counterpart) -> None:
    """The range is given back whole to be tried again: its second half must not wait for a reader meanwhile."""
    execute(
        server,
        "CREATE TABLE dbo.Torn (id int NOT NULL PRIMARY KEY)",
        "INSERT INTO dbo.Torn SELECT id FROM big.One WHERE id < 400",
    )
    [comes, goes] = [{**rule, **{k: rule[k].replace("Hot", "Torn") for k in ("match", "run")}} for rule in hot(times=1)]
    faults([comes, {"match": comes["match"], "after_rows": 50, "close": True}, goes])
    ran = good(tap.run(streams=["dbo.Torn"], max_parallel=1, snapshot="never"))
    assert ran.table("dbo-Torn")["id"].to_pylist() == list(range(400))
    assert "connection broke" in ran.said
