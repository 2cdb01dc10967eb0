"""A stage is one small class: the steps work with one that is a folder on this machine, and knows no workspace."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from lakehouse_kit import CLUSTER, TOKEN, Workspace, make_load

from lakehouse import published
from lakehouse.errors import UploadError
from lakehouse.loads import read_local, read_staged, staged_loads
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.stages.base import Answer, Entry, Stage
from lakehouse.steps.upload import upload


class FolderStage(Stage):
    """A folder; `refusals` are what it answers to the first calls of `send`, each of which loses the last file."""

    def __init__(self, root: Path, *refusals: Answer) -> None:
        super().__init__(str(root))
        self.root = root
        self.refusals = list(refusals)
        self.sent: list[str] = []

    def entries(self, folder: str) -> Iterable[Entry]:
        where = self.root / folder
        found = where.iterdir() if where.is_dir() else ()
        return [Entry(each.name, 0 if each.is_dir() else each.stat().st_size, each.is_dir()) for each in found]

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def create(self, path: str, data: bytes) -> bool:
        if (self.root / path).exists():
            return False
        self.write(path, data)
        return True

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            if path.endswith("/"):
                shutil.rmtree(self.root / path, ignore_errors=True)
            else:
                (self.root / path).unlink(missing_ok=True)

    def send(self, folder: str, files: Mapping[str, Path]) -> Answer:
        paths = list(files)
        answer = self.refusals.pop(0) if self.refusals else Answer()
        for path in paths[:-1] if answer.text else paths:
            target = self.root / folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(files[path], target)
            self.sent.append(path)
        return answer


@pytest.fixture
def three_parts(output: Path) -> Path:
    make_load(output, "Orders", [pa.table({"Id": [number]}) for number in range(3)])
    return output


def test_a_stage_of_another_kind_holds_the_same_tree_and_the_steps_read_it(three_parts: Path, tmp_path: Path) -> None:
    stage, loads = FolderStage(tmp_path / "stage"), read_local(three_parts).loads
    assert upload(stage, three_parts, loads, "lighthouse", print).files == 4
    here, there = (
        {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*.*")} for root in (three_parts, stage.root)
    )
    assert here == there and stage.sent[-1].startswith("_manifests/")
    assert upload(stage, three_parts, loads, "lighthouse", print).there == 4
    assert staged_loads(stage) == ({loads[0].load_id: "sqlserver"}, [])
    assert read_staged(stage, {loads[0].load_id: "sqlserver"}).loads == loads
    assert published.newest(stage, "lighthouse") is None


def test_what_an_attempt_lost_is_sent_again_and_nothing_else(three_parts: Path, tmp_path: Path) -> None:
    stage = FolderStage(tmp_path / "stage", Answer("connection reset"))
    upload(stage, three_parts, read_local(three_parts).loads, "lighthouse", print)
    assert len(stage.sent) == len(set(stage.sent)) == 4


def test_a_final_answer_ends_the_upload_at_once_with_its_words_and_advice(three_parts: Path, tmp_path: Path) -> None:
    stage = FolderStage(tmp_path / "stage", Answer("No\n room ", is_final=True, advice="Make room."), Answer("never asked"))
    with pytest.raises(UploadError, match=r"1 of 3 files did not reach .*/stage/sqlserver") as refused:
        upload(stage, three_parts, read_local(three_parts).loads, "lighthouse", print)
    assert "among them: No room. What arrived stays" in str(refused.value)
    assert str(refused.value).endswith("Make room. Then run the upload again.")
    assert len(stage.refusals) == 1 and not (stage.root / "sqlserver/_manifests").exists()


def test_the_base_of_all_stages_knows_no_workspace_and_commands_start_without_heavy_imports() -> None:
    script = "import json, sys, lakehouse.{0}; print(json.dumps(sorted(sys.modules)))"

    def imported(module: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", script.format(module)], capture_output=True, text=True, check=True)
        return set(json.loads(done.stdout))

    base = imported("stages.base") - {"lakehouse", "lakehouse.stages", "lakehouse.stages.base"}
    assert not {name for name in base if name.startswith("lakehouse.workspace") or name.startswith(("requests", "databricks"))}
    for command in ("lease", "finish", "upload", "convert", "verify", "bookmarks", "report", "prune", "loads", "drop"):
        assert not imported(f"commands.{command}") & {"pyarrow", "databricks.sdk", "rich"}, command
    assert "requests" not in imported("cli")


@pytest.mark.parametrize("place", ["dbfs:/lighthouse/stage", "/Volumes/main/lighthouse/stage"])
def test_what_is_made_once_stays_and_what_is_removed_is_gone_and_what_was_not_there_is_no_mistake(
    workspace: Workspace, place: str
) -> None:
    stage = open_stage(
        load_settings(
            {
                "DATABRICKS_HOST": workspace.url,
                "DATABRICKS_TOKEN": TOKEN,
                "DATABRICKS_CLUSTER_ID": CLUSTER,
                "LAKEHOUSE_STAGE": place,
            }
        )
    )
    assert [stage.create("a/one", data) for data in (b"1", b"2", b"1")] == [True, False, True], "the last may be ours, repeated"
    assert (stage.find("a/one"), stage.find("a/none"), stage.find("none/none")) == (b"1", None, None)
    stage.remove(["a/"])
    for path in ("a/ação 1", "a/2", "b/3", "b/c/4", "d/5"):
        stage.write(path, b"x")
    stage.remove(["a/ação 1", "a/none", "none/none", "b/", "none/"])
    assert stage.sizes("a") == {"2": 1} and stage.folders() == ["a", "d"] and stage.sizes("d") == {"5": 1}
    [entry] = stage.entries("d")
    assert entry.modified > 1_700_000_000_000
