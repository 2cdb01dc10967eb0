"""`lakehouse verify`, `report` and `prune`: what is equal is said, what differs is named, what is needed stays."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from lakehouse_kit import Workspace, lakehouse, make_load, publish, result

from lakehouse.loads import Found
from lakehouse.steps.prune import prune_here
from lakehouse.terminal import show_table
from singer_arrow import names


def converted(workspace: Workspace, output: Path) -> None:
    for command in ("upload", "convert"):
        done = lakehouse(workspace, output, command)
        assert done.returncode == 0, done.stderr


def test_verify_again_finds_what_was_changed_in_delta_and_changes_nothing(workspace: Workspace, output: Path) -> None:
    data = pa.table({"Id": [1, 2], "Total": [10, 20]})
    make_load(output, "Orders", [data])
    make_load(output, "Keyed", [data], mode="merge", key_columns=["Id"])
    make_load(output, "Log", [data], mode="append")
    converted(workspace, output)
    equal = lakehouse(workspace, output, "verify", "--again")
    assert equal.returncode == 0 and equal.stdout.count("yes") == 3, equal.stdout + equal.stderr
    DeltaTable(str(workspace.delta / "keyed")).update(updates={"Total": "21"}, predicate="Id = 2")
    DeltaTable(str(workspace.delta / "orders")).delete("Id = 1")
    differs = lakehouse(workspace, output, "verify", "--again")
    assert differs.returncode == 6 and differs.stdout.count("NO") == 2, differs.stdout + differs.stderr
    assert "column Total: sum 30 in the manifest, 31 in Delta" in differs.stderr
    assert "2 rows in the manifest, 1 in Delta" in differs.stderr
    assert DeltaTable(str(workspace.delta / "orders")).to_pyarrow_table().num_rows == 1


def test_verify_again_says_which_streams_it_cannot_compare(workspace: Workspace, output: Path) -> None:
    """Where no files stay it had compared nothing, and ended with 0."""
    make_load(output, "Orders", [pa.table({"Id": [1]})])
    converted(workspace, output)
    assert lakehouse(workspace, output, "prune", LAKEHOUSE_KEEP_LOADS="0").returncode == 0
    make_load(output, "Late", [pa.table({"Id": [1]})], started=1)
    converted(workspace, output)
    told = lakehouse(workspace, output, "verify", "--again")
    assert told.returncode == 6 and "1 streams were not compared again" in told.stderr, told.stderr
    assert "sqlserver/Orders" in told.stderr and "entrypoint.sh reconcile" in told.stderr
    assert told.stdout.count("yes") == 1 and "Late" in told.stdout, told.stdout


def test_loads_that_stay_here_of_another_target_are_not_missed_in_this_one(workspace: Workspace, output: Path) -> None:
    """Files of delivered loads are kept; after LAKEHOUSE_TARGET has changed they are no business of a run's."""
    data = pa.table({"Id": [1, 2]})
    make_load(output, "Former", [data], target="main.other")
    make_load(output, "Orders", [data], started=1)
    converted(workspace, output)
    for command in ("report", "verify"):
        done = lakehouse(workspace, output, command)
        assert done.returncode == 0, done.stderr
        assert "Orders" in done.stdout and "Former" not in done.stdout + done.stderr


def test_source_rows_are_rows_and_what_was_put_aside(workspace: Workspace, output: Path) -> None:
    data = pa.table({"Id": [1, 2]})
    drift = [{"field": "Color", "became": "record left out", "records": 1, "type": None}]
    load = make_load(output, "Orders", [data], source="api", source_rows=5, dead_letters=2, left_out=1, drift=drift)
    letters = output / "api" / names.dead_letters(load.load_id)
    letters.parent.mkdir()
    letters.write_text("{}\n{}\n")
    converted(workspace, output)
    [row] = DeltaTable(str(workspace.delta / "_loads")).to_pyarrow_table().to_pylist()
    assert (row["rows"], row["source_rows"], row["dead_letters"], row["left_out"]) == (2, 5, 2, 1)
    report = lakehouse(workspace, output, "report").stdout
    assert "api/Orders: 5 source rows = 2 rows + 2 dead letters + 1 left out (discard_row)" in report
    assert f"api/{names.dead_letters(load.load_id)} of the output folder" in report
    assert "the field Color is not declared; in 1 records it is record left out" in report
    assert "beside its 2 rows 2 dead letters and 1 left out" in lakehouse(workspace, output, "verify").stdout
    assert lakehouse(workspace, output, "prune", LAKEHOUSE_KEEP_LOADS="0").returncode == 0
    assert letters.exists() and not load.path.exists(), "dead letters stay until somebody removes them"

    make_load(output, "Short", [data], source_rows=5, dead_letters=2)
    assert lakehouse(workspace, output, "upload").returncode == 0
    told = lakehouse(workspace, output, "convert")
    assert told.returncode != 0 and "5 rows at the source, 2 in the manifest and 2 put aside" in told.stderr


def test_a_load_that_is_not_in_delta_is_named(workspace: Workspace, output: Path) -> None:
    make_load(output, "Orders", [pa.table({"Id": [1]})])
    converted(workspace, output)
    late = make_load(output, "Late", [pa.table({"Id": [1]})], started=1)
    for command in ("verify", "report"):
        told = lakehouse(workspace, output, command)
        assert told.returncode == 6 and f"sqlserver/Late ({late.load_id})" in told.stderr
    report = lakehouse(workspace, output, "report").stdout
    assert "2 loads, 2 rows" in report and "not in Delta" in report


def test_the_report_says_what_the_table_of_an_incremental_load_holds_and_of_every_load_whether_it_was_compared(
    workspace: Workspace, output: Path
) -> None:
    cursor, key = {"column": "Id", "from": None, "to": "2"}, ["Id"]
    make_load(output, "Keyed", [pa.table({"Id": [1, 2]})], key_columns=key)
    make_load(output, "Log", [pa.table({"Id": [1]})])
    converted(workspace, output)
    make_load(output, "Keyed", [pa.table({"Id": [3]})], mode="merge", key_columns=key, cursor=cursor, table_rows=2, started=1)
    make_load(output, "Log", [pa.table({"Id": [1]})], mode="append", cursor=cursor, started=1)
    make_load(output, "Log", [pa.table({"Id": [4, 5]})], started=2)
    converted(workspace, output)
    told = lakehouse(workspace, output, "report")
    assert told.returncode == 0, told.stderr
    assert "sqlserver/Keyed: 3 rows in Delta and, by its own estimate, 2 at the source" in told.stdout
    assert "entrypoint.sh reconcile Keyed" in told.stdout
    last_words = [line.rsplit("  ", 1)[-1].strip() for line in told.stdout.splitlines() if line.startswith("sqlserver")]
    assert last_words.count("yes") == 2 and "—" not in last_words
    assert last_words.count("in the ledger") + last_words.count("superseded") == 3


def test_prune_removes_what_is_in_delta_and_nothing_else(workspace: Workspace, output: Path) -> None:
    done = make_load(output, "Orders", [pa.table({"Id": [1]})])
    kept = make_load(output, "Late", [pa.table({"Id": [1]})], started=1)
    assert lakehouse(workspace, output, "upload").returncode == 0
    publish(workspace, [result(done, "applied"), result(kept, "failed", "no")])
    spool = output.parent / "spool/tap-mssql/Late"
    spool.mkdir(parents=True)
    (spool / f"{done.load_id}-0001-012345abcdef.parquet").write_bytes(b"x")
    for ending in ("load.json", "plan.json", "range-0001.json"):
        (spool / f"{done.load_id}.{ending}").write_bytes(b"x")
    resumable = spool / f"{kept.load_id}-0001-012345abcdef.parquet"
    resumable.write_bytes(b"x")
    (output / "sqlserver/Late/.half").write_bytes(b"x")
    (output / "sqlserver/Late/nobody-names-me.parquet").write_bytes(b"x")
    pruned = lakehouse(workspace, output, "prune", LAKEHOUSE_KEEP_LOADS="0")
    assert pruned.returncode == 0, pruned.stderr
    left = {file for file in output.parent.rglob("*") if file.is_file()}
    part = kept.manifest["files"][0]["path"]
    assert left == {kept.path, resumable, output / "sqlserver" / part}
    assert not (output / "sqlserver/Orders").exists()
    assert set(workspace.stage.joinpath("sqlserver").rglob("*.*")) == {
        workspace.stage / "sqlserver" / path for path in (part, f"_manifests/{kept.path.name}")
    }


@pytest.mark.parametrize("volume", [False, True])
def test_after_many_runs_the_stage_and_this_machine_hold_the_newest_loads_and_documents_alone(
    workspace: Workspace, output: Path, volume: bool
) -> None:
    more = {"LAKEHOUSE_STAGE": "/Volumes/main/lighthouse/stage", "DATABRICKS_CLUSTER_ID": ""} if volume else {}
    if volume:
        workspace.stage = workspace.data / "volumes/main/lighthouse/stage"
    data = [pa.table({"Id": [1]}), pa.table({"Id": [2]})]
    loads = [make_load(output, stream, data, started=run) for run in range(8) for stream in ("Orders", "Odd & Ação")]
    loads += [make_load(output, "Empty", [], schema=data[0].schema, started=run) for run in range(8)]
    refused, waiting = make_load(output, "Orders", data, started=3, source="api"), make_load(output, "Orders", data, started=9)
    assert lakehouse(workspace, output, "upload", **more).returncode == 0
    told = [result(load, "superseded" if load is loads[0] else "applied") for load in loads]
    for target in ("dbfs:/lighthouse/delta", "main.other"):
        for _ in range(8):
            publish(workspace, [*told, result(refused, "refused", "no")], target=target)
    dead = workspace.stage / "_published/20200101T000000000000Z-0123456789ab"
    writing = workspace.stage / "_published/20990101T000000000000Z-0123456789ab"
    for folder in (dead, writing, workspace.stage / "_job"):
        folder.mkdir()
    for number in range(8):
        for ending in ("py", "json"):
            file = workspace.stage / "_job" / f"{number:012x}.{ending}"
            file.write_bytes(b"x")
            os.utime(file, (1_800_000_000 - number,) * 2)

    for number in range(8):
        (workspace.stage / f"_figures/2026010{number}T000000000000Z-0123456789ab").mkdir(parents=True)
    pruned = lakehouse(workspace, output, "prune", LAKEHOUSE_KEEP_LOADS="2", **more)
    assert pruned.returncode == 0 and "18 loads are in Delta and gone on the stage: 42 files" in pruned.stderr, pruned.stderr
    kept = [*loads[12:16], *loads[-2:], refused, waiting]
    named = {f"{load.manifest['source']}/{file['path']}" for load in kept for file in load.manifest["files"]}
    named |= {f"{load.manifest['source']}/_manifests/{load.path.name}" for load in kept}
    for root in (output, workspace.stage):
        found = {str(file.relative_to(root)) for file in root.rglob("*.*") if file.is_file()}
        assert {path for path in found if not path.startswith("_")} == named
    assert sorted(file.name for file in (workspace.stage / "_job").iterdir()) == sorted(
        f"{number:012x}.{ending}" for number in range(5) for ending in ("py", "json")
    )
    assert sorted(each.name[7] for each in (workspace.stage / "_figures").iterdir()) == ["3", "4", "5", "6", "7"]
    assert writing.exists() and not dead.exists() and len(list((workspace.stage / "_published").iterdir())) == 2 * 5 + 1
    assert (
        "0 loads are in Delta and gone on the stage"
        in lakehouse(workspace, output, "prune", LAKEHOUSE_KEEP_LOADS="2", **more).stderr
    )


def test_prune_removes_spooled_parts_of_a_load_whose_hash_begins_with_0(tmp_path: Path) -> None:
    committed, other = "20261124T161224Z-0a1b2c3d4e5f", "20261124T161224Z-0a1b2c3d4e50"
    spool = tmp_path / "spool/tap-mssql/Orders"
    spool.mkdir(parents=True)
    for load_id in (committed, other):
        (spool / names.part_name(load_id, "0001.02", "ab" * 32)).write_bytes(b"x")
        (spool / f"{load_id}.range-0001.json").write_bytes(b"x")
    prune_here(tmp_path / "docker_elt", Found([], []), {committed}, set())
    assert {names.load_of(file.name) for file in spool.iterdir()} == {other} and len(list(spool.iterdir())) == 2


def test_the_report_shows_the_newest_run_and_what_is_not_in_delta_not_what_is_kept(workspace: Workspace, output: Path) -> None:
    data = [pa.table({"Id": [1]})]
    kept = make_load(output, "Kept", data, run_id="first")
    late = make_load(output, "Late", data, run_id="first", started=1)
    new = make_load(output, "New", data, run_id="second", started=2)
    assert lakehouse(workspace, output, "upload").returncode == 0
    publish(workspace, [result(kept, "applied"), result(late, "blocked", "no"), result(new, "applied")])
    report = lakehouse(workspace, output, "report").stdout
    assert "2 loads" in report and "Late" in report and "New" in report and "Kept" not in report


def test_tables_never_cut_a_name_and_align_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    long = "Sales-" + "SalesOrderHeader" * 12
    show_table(
        "2 loads", ("source", "stream", "rows", "equal"), [("api", long, 1234567, True), ("[b]:x:[/b]", "s", None, False)], 2
    )
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "2 loads"
    assert [line.split() for line in lines] == [
        ["source", "stream", "rows", "equal"], ["api", long, "1,234,567", "yes"], ["[b]:x:[/b]", "s", "—", "NO"],
    ]  # fmt: skip
    assert len({len(line.rstrip()) for line in lines}) == 1 and "\x1b" not in "".join(lines)


def test_what_is_published_of_a_target_is_found_behind_the_documents_of_many_others(workspace: Workspace, output: Path) -> None:
    """Else it would have no bookmarks, and each of its runs would read all streams whole."""
    load = make_load(output, "Orders", [pa.table({"Id": [1]})])
    publish(workspace, [result(load, "applied")], bookmarks={"sqlserver": {"Orders": {"replication_key_value": "7"}}})
    for number in range(12):
        for _ in range(5):
            publish(workspace, [], target=f"main.other{number}")
    told = lakehouse(workspace, output, "bookmarks")
    assert told.returncode == 0 and '"replication_key_value": "7"' in told.stdout, told.stdout + told.stderr
