"""The conversion job on Sail as `lakehouse convert` submits it over HTTP: what the command says, and its exit code.

What the job makes of loads is tested on engines that stay: test_loads.py, test_refused.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from lakehouse_kit import Workspace, fits, lakehouse, make_load, published

NEW_CLUSTER = {"spark_version": "15.4.x-scala2.12", "node_type_id": "Standard_D4s_v5", "num_workers": 1}


def rows(workspace: Workspace, table: str, *names: str) -> list[tuple[Any, ...]]:
    """A Delta table's rows by delta-rs, in the order of their first column."""
    found = DeltaTable(str(workspace.delta / table)).to_pyarrow_table(columns=list(names) or None)
    return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True), key=lambda row: str(row[0]))


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


def keyed(rows: list[tuple[int, str, int]], **more: list[Any]) -> pa.Table:
    columns = {"Id": [r[0] for r in rows], "Name": [r[1] for r in rows], "Changed": pa.array([r[2] for r in rows], pa.int64())}
    return pa.table(columns | more)


def test_without_a_cluster_named_a_stage_on_dbfs_gets_a_small_one_of_the_newest_runtime_for_years(
    workspace: Workspace, output: Path
) -> None:
    """The customer's ten variables name none; serverless compute does not read DBFS."""
    make_load(output, "Good", [keyed([(1, "a", 1)])])
    run(workspace, output, DATABRICKS_CLUSTER_ID="")
    assert rows(workspace, "good", "Id") == [(1,)]
    task = workspace.get("/api/2.2/jobs/runs/get?run_id=1000")["tasks"][0]
    cluster = {name: task["new_cluster"][name] for name in ("spark_version", "node_type_id", "num_workers")}
    assert cluster == {"spark_version": "16.4.x-scala2.12", "node_type_id": "Standard_D4ds_v5", "num_workers": 0}
    assert not workspace.seen("clusters/create")


def test_what_the_settings_ask_of_the_job_reaches_it(workspace: Workspace, output: Path) -> None:
    make_load(output, "Good", [keyed([(1, "a", 1)])])
    upkeep = {"LAKEHOUSE_CLUSTER_BY_KEY": "true", "LAKEHOUSE_OPTIMIZE_EVERY": "20", "LAKEHOUSE_VACUUM_HOURS": "720"}
    run(workspace, output, LAKEHOUSE_ROW_COLUMNS="_loaded_at, _source", **upkeep)
    assert {"_loaded_at", "_source"} < set(DeltaTable(str(workspace.delta / "good")).to_pyarrow_table().column_names)
    [order] = [json.loads(file.read_text()) for file in workspace.stage.glob("_job/*.json")]
    assert order["upkeep"] == {"cluster_by_key": True, "optimize_every": 20, "vacuum_hours": 720}


def test_what_is_refused_is_told_with_its_exit_and_the_others_go_on(workspace: Workspace, output: Path) -> None:
    def append(started: int, start: str | None, end: str) -> None:
        make_load(output, "Log", [keyed([(started, "x", started)])], mode="append", started=started,
                  cursor={"column": "Changed", "from": start, "to": end}, bookmark={"replication_key_value": end})  # fmt: skip

    merge: dict[str, Any] = {"mode": "merge", "key_columns": ["Id"], "table": "keyed"}
    append(1, None, "2026-01-01")
    make_load(output, "Keyed", [keyed([(1, "a", 1)])], **merge)
    run(workspace, output)
    append(3, "2026-01-02", "2026-01-03")
    changed = pa.table({"Id": pa.array([1]), "Name": [7], "Changed": pa.array([1])})
    late = make_load(output, "Keyed", [changed], started=2, **merge)
    make_load(output, "Other", [keyed([(1, "a", 1)])], started=4)
    told = run(workspace, output, expected=5)
    assert "starts at 2026-01-02, the ledger ends at 2026-01-01" in told
    assert "column Name is bigint now and string in keyed" in told and "entrypoint.sh refresh Keyed" in told
    assert {load["status"] for load in published(workspace)["loads"]} == {"already", "applied", "refused"}
    assert rows(workspace, "keyed", "Name") == [("a",)] and rows(workspace, "log", "Id") == [(1,)]
    assert rows(workspace, "other", "Id") == [(1,)]
    assert late.load_id in lakehouse(workspace, output, "convert").stderr


def test_a_death_between_data_and_ledger_changes_nothing_in_the_end(workspace: Workspace, output: Path) -> None:
    make_load(output, "Log", [keyed([(1, "a", 1), (2, "b", 2)])], mode="append", key_columns=["Id"])
    variables = {"LAKEHOUSE_CRASH": "append-written", "LAKEHOUSE_LEASE_SECONDS": "1"}
    dying = json.dumps(NEW_CLUSTER | {"spark_env_vars": variables})
    told = run(workspace, output, expected=5, LAKEHOUSE_NEW_CLUSTER=dying, DATABRICKS_CLUSTER_ID="")
    assert "did not end well" in told and "job/1000" in told
    assert rows(workspace, "log", "Id", "Name") == [(1, "a"), (2, "b")] and ledger(workspace) == []
    assert json.loads(lakehouse(workspace, output, "bookmarks").stdout) == {}
    run(workspace, output)
    assert rows(workspace, "log", "Id", "Name") == [(1, "a"), (2, "b")]
    assert [count for _, count in ledger(workspace)] == [2]


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


def test_a_volume_and_serverless_compute_work_as_dbfs_does(workspace: Workspace, output: Path) -> None:
    make_load(output, "Good Ação", [keyed([(1, "a", 1)])], table="good")
    volume: dict[str, Any] = {"LAKEHOUSE_STAGE": "/Volumes/main/lighthouse/stage/x", "DATABRICKS_CLUSTER_ID": ""}
    run(workspace, output, **volume)
    assert rows(workspace, "good", "Id") == [(1,)]
    assert lakehouse(workspace, output, "verify", **volume).returncode == 0
