"""`lakehouse upload` against the workspace: only what is missing, nothing false, and a message a person can use."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
from lakehouse_kit import TOKEN, VOLUME, Workspace, lakehouse, make_load

from lighthouse.environment import settle


def noise(size: int) -> pa.Table:
    """About `size` bytes that do not compress."""
    return pa.table({"Id": [1], "blob": pa.array([os.urandom(size)], pa.binary())})


def tree(root: Path) -> dict[str, int]:
    return {str(f.relative_to(root)): f.stat().st_size for f in root.rglob("*") if f.is_file() and not f.name.startswith(".")}


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


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_part_is_never_sent(workspace: Workspace, output: Path, damage: str) -> None:
    make_load(output, "Big", [noise(1000)])
    part = next(output.rglob("*.parquet"))
    if damage == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1] + b"x")
    refused = lakehouse(workspace, output, "upload")
    assert refused.returncode == 4 and part.name in refused.stderr and "Nothing was sent" in refused.stderr
    assert not workspace.stage.exists()


def test_an_unknown_manifest_version_is_refused(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(1000)]).rewrite(version=2)
    refused = lakehouse(workspace, output, "upload")
    assert refused.returncode == 4 and "manifest version 2" in refused.stderr


def test_a_large_part_reaches_a_volume_by_multipart_and_whole(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big Ação", [noise(52 << 20), noise(1000)])
    sent = lakehouse(workspace, output, "upload", LAKEHOUSE_STAGE=VOLUME, DATABRICKS_CLUSTER_ID="")
    assert sent.returncode == 0, sent.stderr
    stage = workspace.data / "volumes/main/lighthouse/stage"
    there, here = (sorted(root.rglob("*.parquet"), key=lambda f: f.name) for root in (stage, output))
    assert [f.read_bytes() for f in there] == [f.read_bytes() for f in here]


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
    serverless = lakehouse(workspace, output, "upload", DATABRICKS_CLUSTER_ID="")
    assert serverless.returncode == 2 and "serverless compute cannot run a file from DBFS" in serverless.stderr


def test_quotes_that_docker_keeps_change_nothing(workspace: Workspace, output: Path) -> None:
    make_load(output, "Big", [noise(1000)])
    quoted = {"DATABRICKS_TOKEN": json.dumps(TOKEN), "LAKEHOUSE_STAGE": "'dbfs:/lighthouse/stage'"}
    as_entrypoint_reads_them = settle(quoted, output / "no-env-file", re.compile("DATABRICKS_|LAKEHOUSE_"), ()).values
    assert lakehouse(workspace, output, "upload", **as_entrypoint_reads_them).returncode == 0
