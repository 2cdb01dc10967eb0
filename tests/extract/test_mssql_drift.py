"""A table that changes: a decision, never a part of two shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mssql_kit import READ, Tap, equal, execute, good, select

from sandbox.launch import Counterpart, counterpart

CHANGES = {
    "added": ("ALTER TABLE dbo.{t} ADD more nvarchar(5) NULL", "column more nvarchar(5) was added"),
    "dropped": ("ALTER TABLE dbo.{t} DROP COLUMN b", "column b was dropped"),
    "widened": ("ALTER TABLE dbo.{t} ALTER COLUMN a bigint NULL", "column a was int NULL and is bigint NULL"),
    "renamed": ("EXEC sp_rename 'dbo.{t}', '{t}Old'", "it was renamed to dbo.{t}Old"),
    "gone": ("DROP TABLE dbo.{t}", "it is gone"),
    "emptied": ("TRUNCATE TABLE dbo.{t}", "it was emptied"),
}
WHEN = {"before the first range": 0, "amid the ranges": 2}
Faults = Callable[[list[dict[str, Any]]], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("drift")
    pq.write_table(pa.table({"id": pa.array(range(5_000), pa.int32())}), folder / "ids.parquet")
    options = [
        "--only-parquet",
        "--faults",
        str(folder / "server/faults.json"),
        "--parquet",
        f"big.Ids={folder / 'ids.parquet'}:id",
    ]
    with counterpart("sqlserver", folder / "server", *options) as running:
        yield running


@pytest.fixture(scope="module")
def made() -> list[str]:
    """The tables made so far."""
    return []


@pytest.fixture
def changing(server: Counterpart, tmp_path: Path, made: list[str]) -> Callable[[str, str, str], tuple[Tap, str]]:
    """A table of 2,000 rows that a session of its own changes just before a certain read of it."""
    rules: list[dict[str, Any]] = []

    def make(change: str, when: str, setting: str) -> tuple[Tap, str]:
        table = f"T{len(made)}{change}"
        made.append(table)
        execute(server, f"CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY, a int NULL, b varchar(10) NULL)")
        execute(server, f"INSERT INTO dbo.{table} SELECT id, id, 'b' FROM big.Ids WHERE id < 2000")
        statement = CHANGES[change][0].format(t=table)
        rules.append({"match": READ + rf"\[id\], .*FROM \[dbo\]\.\[{table}\]", "skip": WHEN[when], "run": statement, "times": 1})
        (server.data.parent / "faults.json").write_text(json.dumps({"statements": rules}))
        settings = {"streams": [f"dbo.{table}"], "range_rows": 500, "max_parallel": 1, "snapshot": "never", "retry_seconds": 3}
        return Tap(server, tmp_path, settings | {"on_schema_drift": setting}), table

    return make


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_the_stream_and_names_what_changed(change: str, when: str, changing: Any) -> None:
    tap, table = changing(change, when, "fail")
    ran = tap.run()
    if change == "emptied":  # its columns are as they were: it is read again, and no setting need allow that
        assert good(ran).table(f"dbo-{table}").num_rows == 0
        assert ("it was emptied. The load begins again and reads it whole" in ran.said) == (when == "amid the ranges")
        return
    assert ran.code == 3 and not ran.streams
    assert CHANGES[change][1].format(t=table) in ran.said
    assert "Nothing of this load is staged" in ran.said and "Traceback" not in ran.said


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("change", CHANGES)
def test_a_table_may_evolve_and_is_read_from_the_beginning(change: str, when: str, changing: Any, server: Counterpart) -> None:
    tap, table = changing(change, when, "evolve")
    ran = tap.run()
    if change in ("renamed", "gone"):
        assert ran.code == 3 and not ran.streams
        assert "discover again" in ran.said or "it is gone" in ran.said
        return
    good(ran)
    equal(ran.table(f"dbo-{table}"), select(server, f"SELECT * FROM dbo.{table} ORDER BY id"))
    schema = next(m["schema"]["properties"] for m in ran.messages if m["type"] == "SCHEMA")
    assert list(schema) == ran.table(f"dbo-{table}").schema.names
    assert len({pq.read_schema(path).remove_metadata() for path in ran.paths(f"dbo-{table}")}) == 1


@pytest.fixture
def drifting(server: Counterpart, tmp_path: Path) -> Callable[[str, str], Tap]:
    """The tap for a table dbo.Name (a, b, c) that a statement changes just before its second load reads it."""

    def make(name: str, statement: str) -> Tap:
        rules = [{"match": READ + rf"\[a\], .*FROM \[dbo\]\.\[{name}\].*\[c\] >", "run": statement, "times": 1}]
        (server.data.parent / "faults.json").write_text(json.dumps({"statements": rules}))
        execute(server, f"CREATE TABLE dbo.{name} (a int NOT NULL, b int NOT NULL, c int NOT NULL)")
        execute(server, f"INSERT INTO dbo.{name} VALUES (1, 1, 1), (2, 2, 2)")
        settings = {"streams": [f"dbo.{name}"], "max_parallel": 1, "snapshot": "never", "on_schema_drift": "evolve"}
        options = [{"pattern": f"dbo.{name}", "replication_key": "c", "on_new_column": "null"}]
        return Tap(server, tmp_path, settings | {"stream_options": options})

    return make


def test_a_key_that_a_catalog_gave_stays_when_the_table_evolves(drifting: Any, server: Counterpart) -> None:
    """Without it the load would be appended: rows that come again would be double."""
    tap = drifting("GivenKey", "ALTER TABLE dbo.GivenKey ADD more int NULL")
    tap.catalog = tap.discovered()
    tap.catalog["streams"][0]["key_properties"] = ["a"]
    one = good(tap.read())
    execute(server, "UPDATE dbo.GivenKey SET c = 3 WHERE a = 1")
    two = good(tap.read(one.state))
    document = two.document("dbo-GivenKey")
    assert "column more int was added" in two.said and (document["mode"], document["key_columns"]) == ("merge", ["a"])
    assert {row["a"] for row in two.table("dbo-GivenKey").to_pylist()} == {1, 2}


def test_another_key_amid_a_load_reads_the_stream_whole(drifting: Any, server: Counterpart) -> None:
    """Rows that were merged by the one before are not found by the new one."""
    change = "DROP INDEX ux ON dbo.OtherKey; CREATE UNIQUE INDEX ux ON dbo.OtherKey (b)"
    tap = drifting("OtherKey", change)
    execute(server, "CREATE UNIQUE INDEX ux ON dbo.OtherKey (a)")
    one = good(tap.read())
    execute(server, "UPDATE dbo.OtherKey SET b = 9, c = 3 WHERE a = 2")
    two = good(tap.read(one.state))
    document = two.document("dbo-OtherKey")
    assert (document["mode"], document["key_columns"], document["rows"]) == ("overwrite", ["b"], 2), two.said
    assert "its key was (a) and is (b): this load reads the stream whole" in document["notes"]


def test_a_change_of_the_table_behind_a_synonym_is_noticed(server: Counterpart, tmp_path: Path) -> None:
    execute(server, "CREATE TABLE dbo.Behind (id int NOT NULL PRIMARY KEY)", "CREATE SYNONYM dbo.Front FOR dbo.Behind")
    execute(server, "INSERT INTO dbo.Behind SELECT id FROM big.Ids WHERE id < 500")
    change = {
        "match": READ + r"\[id\].*FROM \[dbo\]\.\[Front\]",
        "skip": 2,
        "run": "ALTER TABLE dbo.Behind ADD more int",
        "times": 1,
    }
    (server.data.parent / "faults.json").write_text(json.dumps({"statements": [change]}))
    settings = {"streams": ["dbo.Front"], "include_synonyms": True, "range_rows": 100, "max_parallel": 1}
    ran = Tap(server, tmp_path, settings).read()
    assert ran.code == 3 and "dbo.Front changed while it was read: column more int was added" in ran.said, ran.said
    assert good(Tap(server, tmp_path, settings).read()).table("dbo-Front").num_rows == 500
    refused = Tap(server, tmp_path, settings | {"default_replication_method": "LOG_BASED"}).read()
    assert "stream dbo-Front is LOG_BASED, and it is a synonym" in refused.said and "ENABLE" not in refused.said


def test_the_next_run_reads_the_table_as_it_is_then(changing: Any, server: Counterpart) -> None:
    tap, table = changing("widened", "amid the ranges", "fail")
    assert tap.run(max_query_seconds=9).code == 3
    ran = good(tap.run())
    equal(ran.table(f"dbo-{table}"), select(server, f"SELECT * FROM dbo.{table} ORDER BY id"))
    assert "what an earlier run left is not used" in ran.said
