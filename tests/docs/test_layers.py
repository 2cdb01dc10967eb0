"""Layers: no import goes upward and none in a circle; the contracts in pyproject.toml notice, and scripts/lint runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_kit import ROOT

UPWARD = [
    ("lakehouse/errors.py", "import lakehouse.cli", "lakehouse: layers BROKEN"),
    ("lakehouse/workspace/rest.py", "from lakehouse.stages import base", "lakehouse: layers BROKEN"),
    ("lakehouse/stages/base.py", "from lakehouse.workspace import rest", "the base of all stages knows no storage BROKEN"),
    ("lakehouse/job/types.py", "from lakehouse.job.facts import measure", "lakehouse.job: layers BROKEN"),
    ("lakehouse/job/loads.py", "from singer_arrow import names", "lakehouse.job: travels alone BROKEN"),
    ("singer_arrow/names.py", "from singer_arrow import parts", "singer_arrow: layers BROKEN"),
    ("tap_mssql/read/ranges.py", "import tap_mssql.server.session", "tap_mssql: its rooms, from the command line"),
    ("tap_mssql/read/spool.py", "import tap_mssql.config.settings", "tap_mssql.read: reads any database"),
    ("tap_mssql/server/session.py", "import tap_mssql.plan.statements", "tap_mssql: its rooms, from the command line"),
    ("tap_mssql/server/retry.py", "import tap_mssql.server.connection", "tap_mssql: no circle in any room BROKEN"),
    ("tap_rest_api_msdk/schemas.py", "import tap_rest_api_msdk.config", "tap_rest_api_msdk: layers BROKEN"),
    ("target_parquet/output_folder.py", "import target_parquet.run", "target_parquet: layers BROKEN"),
    ("target_parquet/output_folder.py", "import tap_mssql.errors", "nobody imports another BROKEN"),
    ("lighthouse/project.py", "import lighthouse.check", "lighthouse: layers BROKEN"),
]


def lint_imports(sources: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", "--config", "pyproject.toml"]
    environment = os.environ | ({"PYTHONPATH": str(sources)} if sources else {})
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_every_layer_is_kept_and_lint_looks() -> None:
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lint-imports" in (ROOT / "scripts/lint").read_text()


@pytest.mark.parametrize(("file", "line", "told"), UPWARD)
def test_an_import_upward_breaks_its_contract(tmp_path: Path, file: str, line: str, told: str) -> None:
    for source in ROOT.glob("plugins/*/*/src/*"):
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / file
    changed.write_text(changed.read_text() + f"\n\ndef upward() -> None:\n    {line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(told in said and said.endswith("BROKEN") for said in done.stdout.splitlines()), done.stdout
