"""`lakehouse upload` against the workspace: only what is missing, nothing false, and a message a person can use."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow as pa
from lakehouse_kit import TOKEN, VOLUME, Made, Workspace, lakehouse, make_load, publish, result

from lakehouse.steps.sent_again import sent_again
from lakehouse.workspace.bodies import form
from lighthouse.environment import settle


def noise(size: int) -> pa.Table:
    """About `size` bytes that do not compress."""
    return pa.table({"Id": [1], "blob": pa.array([os.urandom(size)], pa.binary())})


def tree(root: Path) -> dict[str, int]:
    return {str(f.relative_to(root)): f.stat().st_size for f in root.rglob("*") if f.is_file() and not f.name.startswith(".")}


def part_of(load: Made) -> str:
    """The path of a load's first part below its source's folder."""
    return str(load.manifest["files"][0]["path"])


def test_the_stage_holds_the_same_tree_and_a_second_upload_sends_nothing(workspace: Workspace, output: Path) -> None:
    make_load(output, "Sales-Ação & Odd", [noise(1000), noise(1000)])
    make_load(output, "Orders", [noise(1000)], source="api")
    (output / "api/Orders/nobody-names-me.parquet").write_bytes(b"x")
    sent = lakehouse(workspace, output, "upload")
    assert sent.returncode == 0 and "5 files sent" in sent.stderr
    there = tree(output)
    del there["api/Orders/nobody-names-me.parquet"]
    assert tree(workspace.stage) == there
    assert "0 files sent (0 bytes), 5 were on" in lakehouse(workspace, output, "upload").stderr
    assert not list(output.glob(".sending-*"))


def test_full_storage_ends_with_4_and_the_next_upload_sends_only_the_rest(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(200_000) for _ in range(5)])
    workspace.stop()
    workspace.start("--quota", "700000")
    full = lakehouse(workspace, output, "upload")
    assert full.returncode == 4 and "The storage is full: make room" in full.stderr, full.stderr
    assert "Traceback" not in full.stderr
    arrived = tree(workspace.stage)
    assert 0 < len(arrived) < 5 and not any("_manifests" in path for path in arrived)
    workspace.stop()
    workspace.start()
    rest = lakehouse(workspace, output, "upload")
    assert rest.returncode == 0 and f"sending {5 - len(arrived)} parts" in rest.stderr
    assert tree(workspace.stage) == tree(output)


def test_a_truncated_file_on_the_stage_is_sent_again(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(10_000)])
    assert lakehouse(workspace, output, "upload").returncode == 0
    part = next(workspace.stage.rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:5000])
    assert "sending 1 parts" in lakehouse(workspace, output, "upload").stderr
    assert tree(workspace.stage) == tree(output)


def test_a_wrong_token_is_told_without_a_token_or_traceback(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(1000)])
    refused = lakehouse(workspace, output, "upload", DATABRICKS_TOKEN="dapi-wrong")
    assert refused.returncode == 2 and "Invalid access token. Nothing was changed by this request" in refused.stderr
    assert "What to do: check DATABRICKS_TOKEN" in refused.stderr
    assert "dapi-wrong" not in refused.stderr and "Traceback" not in refused.stderr


def test_a_damaged_part_is_never_sent_and_holds_up_no_other_load(workspace: Workspace, output: Path) -> None:
    good, changed, gone = (make_load(output, stream, [noise(1000)]) for stream in ("Good", "Changed", "Gone"))
    part = output / "sqlserver" / part_of(changed)
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    (output / "sqlserver" / part_of(gone)).unlink()
    refused = lakehouse(workspace, output, "upload")
    assert refused.returncode == 4 and "2 loads are damaged on this machine" in refused.stderr, refused.stderr
    assert Path(part_of(changed)).name in refused.stderr and Path(part_of(gone)).name in refused.stderr
    assert "entrypoint.sh drop" in refused.stderr and changed.load_id in refused.stderr
    assert set(tree(workspace.stage)) == {f"sqlserver/_manifests/{good.load_id}.json", f"sqlserver/{part_of(good)}"}


def test_what_the_job_found_damaged_goes_again_whole_and_once_and_what_is_committed_is_not_looked_at(
    workspace: Workspace, output: Path
) -> None:
    damaged = make_load(output, "Big", [noise(1000), noise(1000)])
    committed = make_load(output, "Done", [noise(1000)])
    assert lakehouse(workspace, output, "upload").returncode == 0
    flipped = workspace.stage / "sqlserver" / part_of(damaged)
    flipped.write_bytes(b"x" * flipped.stat().st_size)
    lost = [workspace.stage / "sqlserver" / path for path in (part_of(committed), f"_manifests/{committed.load_id}.json")]
    for path in lost:
        path.unlink()
    publish(workspace, [result(damaged, "damaged", "part 1: another SHA-256"), result(committed, "applied")])
    again = lakehouse(workspace, output, "upload")
    assert again.returncode == 0 and f"Big ({damaged.load_id}) is damaged on the stage: sent again" in again.stderr, again.stderr
    assert "3 files sent" in again.stderr and flipped.read_bytes() == (output / "sqlserver" / part_of(damaged)).read_bytes()
    assert not any(path.exists() for path in lost)
    assert set(sent_again(output)) == {damaged.load_id}
    assert "0 files sent" in lakehouse(workspace, output, "upload").stderr
    publish(workspace, [result(damaged, "damaged", "part 1: another SHA-256"), result(committed, "applied")])
    assert "3 files sent" in lakehouse(workspace, output, "upload").stderr
    publish(workspace, [result(damaged, "applied"), result(committed, "applied")])
    assert lakehouse(workspace, output, "upload").returncode == 0 and sent_again(output) == {}


def test_a_manifest_that_is_another_on_the_stage_is_sent_again_also_at_the_same_size(workspace: Workspace, output: Path) -> None:
    load = make_load(output, "Big", [noise(1000)])
    assert lakehouse(workspace, output, "upload").returncode == 0
    there = workspace.stage / "sqlserver/_manifests" / load.path.name
    load.rewrite(run_id="nur")
    assert there.stat().st_size == load.path.stat().st_size
    sent = lakehouse(workspace, output, "upload")
    assert "1 files sent" in sent.stderr and "its manifest is another on the stage" in sent.stderr, sent.stderr
    assert there.read_bytes() == load.path.read_bytes() and set(sent_again(output)) == {load.load_id}


def test_a_load_of_another_target_stays_here_and_is_named_until_that_target_holds_it(workspace: Workspace, output: Path) -> None:
    other = make_load(output, "Other", [noise(1000)], target="main.other")
    mine = make_load(output, "Mine", [noise(1000)], target="dbfs:/lighthouse/delta/")
    sent = lakehouse(workspace, output, "upload")
    assert sent.returncode == 0 and "2 files sent" in sent.stderr
    told = f"sqlserver/Other ({other.load_id}) was staged for main.other, not for dbfs:/lighthouse/delta"
    [line] = [line for line in sent.stderr.splitlines() if told in line]
    assert "Set LAKEHOUSE_TARGET back" in line and f"entrypoint.sh drop {other.load_id}" in line
    assert set(tree(workspace.stage)) == {f"sqlserver/_manifests/{mine.load_id}.json", f"sqlserver/{part_of(mine)}"}
    second = make_load(output, "Second", [noise(10)], target="main.other", started=1)
    [line] = [line for line in lakehouse(workspace, output, "upload").stderr.splitlines() if "main.other" in line]
    assert f"2 loads were staged for main.other, not for dbfs:/lighthouse/delta, sqlserver/Other ({other.load_id}) among" in line
    publish(workspace, [result(other, "applied"), result(second, "applied")], target="main.other")
    assert told not in lakehouse(workspace, output, "upload").stderr


def test_what_is_no_manifest_of_ours_is_named_on_a_line_and_the_rest_goes_on(workspace: Workspace, output: Path) -> None:
    good = make_load(output, "Good", [noise(1000)])
    later = make_load(output, "Later", [noise(1000)], started=1)
    later.rewrite(version=2)
    moved = make_load(output, "Moved", [noise(1000)], started=2)
    moved.path.rename(moved.path.with_name(f"{good.load_id[:-1]}x.json"))
    (later.path.parent / "notes.json").write_bytes(b"\xff not JSON")
    (later.path.parent / "array.json").write_text("[1]")
    sent = lakehouse(workspace, output, "upload")
    assert sent.returncode == 0 and "2 files sent" in sent.stderr, sent.stderr
    lines = [line for line in sent.stderr.splitlines() if "passed over" in line]
    assert len(lines) == 4 and all("What to do: " in line for line in lines), sent.stderr
    for told in (f"{later.path}: manifest version 2; this program reads version 1", "notes.json: not a manifest", "array.json: "):
        assert told in sent.stderr
    assert f"named otherwise than its load, {moved.load_id}" in sent.stderr
    assert set(tree(workspace.stage)) == {f"sqlserver/{path}" for path in (f"_manifests/{good.load_id}.json", part_of(good))}

    publish(workspace, [result(good, "applied")])
    on_stage = workspace.stage / "sqlserver/_manifests"
    (on_stage / "notes.json").write_text("{}")
    (on_stage / later.path.name).write_bytes(later.path.read_bytes())
    converted = lakehouse(workspace, output, "convert")
    assert converted.returncode == 0 and "nothing to convert" in converted.stderr, converted.stderr
    assert sum("passed over" in line for line in converted.stderr.splitlines()) == 2, converted.stderr
    assert lakehouse(workspace, output, "prune").returncode == 0
    assert (output / "sqlserver" / part_of(later)).exists()


def test_a_large_part_reaches_a_volume_by_multipart_and_whole(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big Ação", [noise(52 << 20), noise(1000)])
    sent = lakehouse(workspace, output, "upload", LAKEHOUSE_STAGE=VOLUME, DATABRICKS_CLUSTER_ID="")
    assert sent.returncode == 0, sent.stderr
    stage = workspace.data / "volumes/main/lighthouse/stage"
    there, here = (sorted(root.rglob("*.parquet"), key=lambda f: f.name) for root in (stage, output))
    assert [f.read_bytes() for f in there] == [f.read_bytes() for f in here]


def test_many_small_files_and_large_ones_reach_dbfs_whole(workspace: Workspace, output: Path) -> None:
    make_load(output, "Small", [noise(100) for _ in range(33)])
    make_load(output, "Big Ação", [noise((4 << 20) + 1), noise(9 << 20)])
    sent = lakehouse(workspace, output, "upload")
    assert sent.returncode == 0 and "37 files sent" in sent.stderr, sent.stderr
    for file in output.rglob("*.*"):
        assert workspace.stage.joinpath(file.relative_to(output)).read_bytes() == file.read_bytes()


def test_a_large_file_on_dbfs_that_finds_no_room_is_told_with_the_advice(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(5 << 20), noise(5 << 20)])
    workspace.stop()
    workspace.start("--quota", "6000000")
    full = lakehouse(workspace, output, "upload")
    assert full.returncode == 4 and "QUOTA_EXCEEDED" in full.stderr and "The storage is full: make room" in full.stderr, (
        full.stderr
    )


def test_the_body_of_a_repeated_request_begins_again(tmp_path: Path) -> None:
    file = tmp_path / "part"
    file.write_bytes(os.urandom((1 << 20) + 5))
    body, kind = form({"path": "/x/ação"}, file)
    first, second = b"".join(body), b"".join(body)
    assert first == second and len(first) == len(body) and file.read_bytes() in first
    assert first.startswith(b"--" + kind.partition("boundary=")[2].encode())


def test_a_volume_that_does_not_exist_is_named(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(1000)])
    stage = "/Volumes/main/nowhere/stage"
    refused = lakehouse(workspace, output, "upload", LAKEHOUSE_STAGE=stage, DATABRICKS_CLUSTER_ID="")
    assert refused.returncode == 4 and "Volume 'main.nowhere.stage' does not exist" in refused.stderr


def test_every_wrong_setting_is_told_at_once_and_before_any_connection(workspace: Workspace, output: Path) -> None:
    workspace.stop()
    wrong = {"DATABRICKS_HOST": "", "DATABRICKS_TOKEN": "", "LAKEHOUSE_STAGE": "s3://x", "LAKEHOUSE_JOB_TIMEOUT": "soon"}
    refused = lakehouse(workspace, output, "upload", LAKEHOUSE_NEW_CLUSTER="{nonsense", **wrong)
    assert refused.returncode == 2
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "LAKEHOUSE_STAGE", "LAKEHOUSE_JOB_TIMEOUT", "LAKEHOUSE_NEW_CLUSTER"):
        assert f"{name}: " in refused.stderr, name
    assert "for example" in refused.stderr


def test_quotes_that_docker_keeps_change_nothing(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(1000)])
    quoted = {"DATABRICKS_TOKEN": json.dumps(TOKEN), "LAKEHOUSE_STAGE": "'dbfs:/lighthouse/stage'"}
    as_entrypoint_reads_them = settle(quoted, output / "no-env-file", re.compile("DATABRICKS_|LAKEHOUSE_"), ()).values
    assert lakehouse(workspace, output, "upload", **as_entrypoint_reads_them).returncode == 0
