"""`lakehouse accept`: one tiny load of each mode through upload, job and verify; whatever happens, nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lakehouse_kit import TOKEN, VOLUME, Workspace, lakehouse

BY_NAME = {"LAKEHOUSE_STAGE": VOLUME, "DATABRICKS_CLUSTER_ID": "", "LAKEHOUSE_TARGET": "main.lighthouse"}
LOADS = ("overwrite", "append", "merge")


def accept(workspace: Workspace, output: Path, code: int = 0, **more: str) -> dict[str, dict[str, str]]:
    done = lakehouse(workspace, output, "accept", "--json", **more)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and TOKEN not in done.stdout + done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}


def kept(workspace: Workspace) -> list[str]:
    """Files on DBFS, in volumes and in tables."""
    trees = [workspace.data / "dbfs", workspace.data / "volumes"]
    return sorted(str(path.relative_to(workspace.data)) for tree in trees for path in tree.rglob("*") if path.is_file())


@pytest.mark.parametrize("more", [{}, BY_NAME], ids=["DBFS, tables by path", "a volume, tables by name"])
def test_a_workspace_that_works_passes_line_by_line_and_is_left_as_it_was(
    workspace: Workspace, output: Path, more: dict[str, str]
) -> None:
    before = kept(workspace)
    found = accept(workspace, output, **more)
    assert {each["status"] for each in found.values()} == {"ok"}, found
    assert list(found)[-7:] == ["upload", "convert", *LOADS, "tables", "files"]
    for name in LOADS:
        assert found[name]["text"].startswith("3 rows of 14 columns"), found[name]
    assert kept(workspace) == before and not output.exists()


def test_a_job_that_fails_is_told_with_its_reason_and_nothing_stays_behind(workspace: Workspace, output: Path) -> None:
    workspace.fail(runs=["cluster-dies"])
    found = accept(workspace, output, code=3)
    assert found["convert"]["status"] == "failed", found
    assert "upload" in found and "merge" not in found
    assert kept(workspace) == []


def test_without_a_login_nothing_is_written(workspace: Workspace, output: Path) -> None:
    found = accept(workspace, output, code=3, DATABRICKS_TOKEN="wrong")
    assert list(found) == ["login"] and kept(workspace) == []
    assert workspace.seen("/dbfs/") == []
