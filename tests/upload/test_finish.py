"""What an earlier run left is finished step by step: one that fails holds the others back only where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from lakehouse_kit import Workspace, lakehouse, make_load

QUOTA, ROWS = 600_000, 400_000  # bytes, of which these rows need twice as many


@pytest.mark.parametrize(("on_failure", "delivered"), [("deliver", ["small"]), ("stop", [])])
def test_what_is_on_the_stage_is_converted_though_the_rest_finds_no_room(
    on_failure: str, delivered: list[str], tmp_path: Path, output: Path
) -> None:
    workspace = Workspace(tmp_path, "--quota", str(QUOTA))
    try:
        make_load(output, "Small", [pa.table({"Id": [1, 2]})])
        assert lakehouse(workspace, output, "upload").returncode == 0
        make_load(output, "Large", [pa.table({"Id": list(range(ROWS))})], started=1)
        told = lakehouse(workspace, output, "finish", ON_FAILURE=on_failure)
        assert told.returncode == 4 and told.stderr.count("files did not reach") == 1, told.stderr
        tables = (
            [each.name for each in workspace.delta.iterdir() if not each.name.startswith("_")] if workspace.delta.exists() else []
        )
        assert tables == delivered, told.stderr
    finally:
        workspace.stop()


def test_nothing_is_tried_with_a_login_that_is_refused(workspace: Workspace, output: Path) -> None:
    make_load(output, "Small", [pa.table({"Id": [1, 2]})])
    told = lakehouse(workspace, output, "finish", DATABRICKS_TOKEN="wrong")
    assert told.returncode == 2 and told.stderr.count("refused the token") == 1, told.stderr
