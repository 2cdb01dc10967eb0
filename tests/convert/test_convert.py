"""The conversion job on Sail, submitted over HTTP; the tables are read by engines that did not write them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import duckdb_extension_delta  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from lakehouse_kit import Workspace, boundaries, fits, lakehouse, make_load, plain, published

NEW_CLUSTER = {"spark_version": "15.4.x-scala2.12", "node_type_id": "Standard_D4s_v5", "num_workers": 1}


def rows(workspace: Workspace, table: str, *names: str) -> list[tuple[Any, ...]]:
    """A Delta table's rows by delta-rs, in the order of their first column."""
    found = DeltaTable(str(workspace.delta / table)).to_pyarrow_table(columns=list(names) or None)
    return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True), key=lambda row: str(row[0]))


def by_duckdb(table: Path, sql: str) -> list[tuple[Any, ...]]:
    extension = next(Path(duckdb_extension_delta.__file__).parent.rglob("*.duckdb_extension"))
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql.format(table=f"delta_scan('{table}')")).fetchall()


def run(workspace: Workspace, output: Path, expected: int = 0, **more: str) -> str:
    sent = lakehouse(workspace, output, "upload", **more)
    assert sent.returncode == 0, sent.stderr
    done = lakehouse(workspace, output, "convert", **more)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def ledger(workspace: Workspace) -> list[tuple[Any, ...]]:
    for row in DeltaTable(str(workspace.delta / "_loads")).to_pyarrow_table().to_pylist():
        fits("ledger-row", row | {"committed_at": row["committed_at"].isoformat()})
    return rows(workspace, "_loads", "load_id", "delta_rows")


def test_every_type_arrives_exactly(workspace: Workspace, output: Path) -> None:
    data = boundaries()
    load = make_load(output, "Sales-Ação & Odd", [data.slice(0, 2), data.slice(2)], table="sales_odd")
    run(workspace, output)
    found = DeltaTable(str(workspace.delta / "sales_odd")).to_pyarrow_table().sort_by("Id")
    for name in data.column_names:
        assert plain(found.column(name.replace(" ", "_"))) == plain(data.column(name)), name
    types = {field.name: str(field.type) for field in found.schema}
    assert types["money"] == "decimal128(19, 4)" and types["datetime2"] == "timestamp[us]"
    assert types["offset"] == "timestamp[us, tz=UTC]" and types["time_ns"] == "string"
    sql = 'SELECT count(*), sum(money), max(p38), max(time_ns), sum(octet_length("binary")), min(datetime2)::VARCHAR FROM {table}'
    total = Decimal("-0.0001")
    expected = (3, total, Decimal("9" * 38), "23:59:59.9999999", 3, "0001-01-01 00:00:00")
    assert by_duckdb(workspace.delta / "sales_odd", sql) == [expected]
    assert ledger(workspace) == [(load.load_id, 3)]


def test_an_empty_load_makes_an_empty_table_with_its_columns(workspace: Workspace, output: Path) -> None:
    data = boundaries()
    make_load(output, "None", [], schema=data.schema)
    make_load(output, "Zero-Rows", [data.slice(0, 0)])
    run(workspace, output)
    for table in ("none", "zero_rows"):
        found = DeltaTable(str(workspace.delta / table)).to_pyarrow_table()
        assert len(found) == 0 and found.column_names == [name.replace(" ", "_") for name in data.column_names]


def keyed(rows: list[tuple[int, str, int]], **more: list[Any]) -> pa.Table:
    columns = {"Id": [r[0] for r in rows], "Name": [r[1] for r in rows], "Changed": pa.array([r[2] for r in rows], pa.int64())}
    return pa.table(columns | more)


MERGE: dict[str, Any] = {"mode": "merge", "key_columns": ["Id"], "table": "keyed"}


def test_a_keyed_load_merges_and_of_one_key_the_last_row_wins(workspace: Workspace, output: Path) -> None:
    cursor = {"column": "Changed", "from": None, "to": "1"}
    make_load(output, "Keyed", [keyed([(1, "a", 1), (2, "b", 1)])], cursor=cursor, **MERGE)
    run(workspace, output)
    second = [
        keyed([(2, "late", 9), (3, "old", 4)], New=["x", "y"]),
        keyed([(2, "early", 5), (3, "tie", 6), (3, "win", 6)], New=["p", "q", "r"]),
    ]
    cursor = {"column": "Changed", "from": "1", "to": "9"}
    make_load(output, "Keyed", second, cursor=cursor, started=1, **MERGE)
    run(workspace, output)
    assert rows(workspace, "keyed", "Id", "Name", "Changed", "New") == [
        (1, "a", 1, None),
        (2, "late", 9, "x"),
        (3, "win", 6, "r"),
    ]
    assert [count for _, count in ledger(workspace)] == [2, 2]


def test_a_column_of_another_type_is_refused_by_name(workspace: Workspace, output: Path) -> None:
    make_load(output, "Keyed", [keyed([(1, "a", 1)])], **MERGE)
    run(workspace, output)
    changed = pa.table({"Id": pa.array([1]), "Name": [7], "Changed": pa.array([1])})
    make_load(output, "Keyed", [changed], started=1, **MERGE)
    assert "column Name is bigint now and string in keyed" in run(workspace, output, expected=5)
    assert rows(workspace, "keyed", "Name") == [("a",)]


@pytest.mark.parametrize("mode", ["overwrite", "append", "merge"])
def test_a_death_between_data_and_ledger_changes_nothing_in_the_end(workspace: Workspace, output: Path, mode: str) -> None:
    make_load(output, "Log", [keyed([(1, "a", 1), (2, "b", 2)])], mode=mode, key_columns=["Id"])
    variables = {"LAKEHOUSE_CRASH": f"{mode}-written", "LAKEHOUSE_LEASE_SECONDS": "1"}
    dying = json.dumps(NEW_CLUSTER | {"spark_env_vars": variables})
    told = run(workspace, output, expected=5, LAKEHOUSE_NEW_CLUSTER=dying, DATABRICKS_CLUSTER_ID="")
    assert "did not end well" in told and "job/1000" in told
    assert rows(workspace, "log", "Id", "Name") == [(1, "a"), (2, "b")] and ledger(workspace) == []
    assert json.loads(lakehouse(workspace, output, "bookmarks").stdout) == {}
    run(workspace, output)
    assert rows(workspace, "log", "Id", "Name") == [(1, "a"), (2, "b")]
    assert [count for _, count in ledger(workspace)] == [2]


def test_an_append_starts_where_the_ledger_ends_or_is_refused(workspace: Workspace, output: Path) -> None:
    def append(started: int, start: str | None, end: str) -> None:
        make_load(output, "Log", [keyed([(started, "x", started)])], mode="append", started=started,
                  cursor={"column": "Changed", "from": start, "to": end}, bookmark={"replication_key_value": end})  # fmt: skip

    append(1, None, "2026-01-01 00:00:00")
    append(2, "2026-01-01T00:00:00.000000", "2026-01-02")
    run(workspace, output)
    append(3, "2026-01-01", "2026-01-03")
    make_load(output, "Other", [keyed([(1, "a", 1)])], started=4)
    assert "starts at 2026-01-01, the ledger ends at 2026-01-02" in run(workspace, output, expected=5)
    assert {load["status"] for load in published(workspace)["loads"]} == {"already", "applied", "refused"}
    assert rows(workspace, "log", "Id") == [(1,), (2,)]
    assert rows(workspace, "other", "Id") == [(1,)]


def test_figures_that_differ_get_no_ledger_row_and_the_others_go_on(workspace: Workspace, output: Path) -> None:
    bad = make_load(output, "Bad", [keyed([(1, "a", 1)])])
    good = make_load(output, "Good", [keyed([(1, "a", 1)])])
    short = make_load(output, "Short", [keyed([(1, "a", 1)])])
    short.rewrite(source_rows=2)
    columns = bad.manifest["columns"]
    bad.rewrite(columns=columns | {"Changed": columns["Changed"] | {"sum": "2"}})
    told = run(workspace, output, expected=6)
    assert "column Changed: sum 2 in the manifest, 1 in Delta" in told
    assert "2 rows at the source, 1 in the manifest" in told
    assert sorted(ledger(workspace)) == sorted([(good.load_id, 1), (short.load_id, None)])
    assert not (workspace.delta / "short").exists()
    assert set(published(workspace)["bookmarks"]["sqlserver"]) == {"Good"}


def test_a_fresh_container_finishes_what_another_staged(workspace: Workspace, output: Path, tmp_path: Path) -> None:
    make_load(output, "Good", [keyed([(1, "a", 1)])])
    make_load(output, "Good", [keyed([(2, "b", 2), (3, "c", 3)])], started=1)
    assert lakehouse(workspace, output, "upload").returncode == 0
    fresh = tmp_path / "fresh"
    assert "2 loads to convert" in lakehouse(workspace, fresh, "convert").stderr
    assert rows(workspace, "good", "Id") == [(2,), (3,)]
    told = lakehouse(workspace, fresh, "bookmarks")
    assert json.loads(told.stdout) == {"sqlserver": {"bookmarks": {"Good": {"replication_key_value": "1"}}}}
    again = lakehouse(workspace, fresh, "convert")
    assert again.returncode == 0 and "nothing to convert" in again.stderr


def test_a_late_old_full_load_does_not_bring_old_rows_back(workspace: Workspace, output: Path) -> None:
    make_load(output, "Good", [keyed([(2, "new", 2)])], started=5)
    run(workspace, output)
    make_load(output, "Good", [keyed([(1, "old", 1)])], started=1)
    run(workspace, output)
    assert rows(workspace, "good", "Name") == [("new",)]
    assert {count for _, count in ledger(workspace)} == {1, None} and len(published(workspace)["committed"]) == 2
    assert "nothing to convert" in lakehouse(workspace, output, "convert").stderr


def test_a_volume_and_serverless_compute_work_as_dbfs_does(workspace: Workspace, output: Path) -> None:
    make_load(output, "Good Ação", [keyed([(1, "a", 1)])], table="good")
    volume: dict[str, Any] = {"LAKEHOUSE_STAGE": "/Volumes/main/lighthouse/stage/x", "DATABRICKS_CLUSTER_ID": ""}
    run(workspace, output, **volume)
    assert rows(workspace, "good", "Id") == [(1,)]
    assert lakehouse(workspace, output, "verify", **volume).returncode == 0


def test_a_late_old_keyed_load_is_needless_where_later_ones_cover_it_and_else_refused(workspace: Workspace, output: Path) -> None:
    def merge(stream: str, name: str, cursor: dict[str, Any] | None, started: int) -> None:
        given = MERGE | {"table": stream, "bookmark": {"replication_key_value": cursor["to"]} if cursor else None}
        make_load(output, stream, [keyed([(1, name, 3)])], started=started, cursor=cursor, **given)

    merge("covered", "new", {"column": "Changed", "from": None, "to": "9"}, 5)
    merge("bare", "new", None, 5)
    run(workspace, output)
    merge("covered", "old", {"column": "Changed", "from": None, "to": "3"}, 1)
    merge("bare", "old", None, 1)
    told = run(workspace, output, expected=5)
    assert "it comes after the later load" in told and "entrypoint.sh drop" in told
    assert {load["stream"]: load["status"] for load in published(workspace)["loads"] if load["load_id"] < "20261124T1605"} == {
        "covered": "superseded",
        "bare": "refused",
    }
    assert [rows(workspace, table, "Id", "Name") for table in ("covered", "bare")] == [[(1, "new")], [(1, "new")]]
