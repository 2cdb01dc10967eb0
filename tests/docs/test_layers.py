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
    ("lakehouse/errors.py", "import lakehouse.cli", "lakehouse: layers"),
    ("lakehouse/workspace/rest.py", "from lakehouse.stages import base", "lakehouse: layers"),
    ("lakehouse/stages/base.py", "from lakehouse.workspace import rest", "lakehouse: the base of all stages knows no storage"),
    ("lakehouse/job/types.py", "from lakehouse.job.facts import measure", "lakehouse.job: layers"),
    ("lakehouse/job/loads.py", "from singer_arrow import names", "lakehouse.job: travels alone"),
    ("singer_arrow/names.py", "from singer_arrow import parts", "singer_arrow: layers"),
    ("tap_mssql/read/ranges.py", "import tap_mssql.server.session", "tap_mssql: its rooms, from the command line"),
    ("tap_mssql/read/spool.py", "import tap_mssql.config.settings", "tap_mssql.read: reads any database"),
    ("tap_mssql/server/session.py", "import tap_mssql.plan.statements", "tap_mssql: its rooms, from the command line"),
    ("tap_mssql/server/retry.py", "import tap_mssql.server.connection", "tap_mssql: no circle in any room"),
    ("tap_rest_api_msdk/schemas.py", "import tap_rest_api_msdk.config", "tap_rest_api_msdk: layers"),
    ("target_parquet/output_folder.py", "import target_parquet.run", "target_parquet: layers"),
    ("target_parquet/output_folder.py", "import tap_mssql.errors", "packages: each imports singer_arrow at most"),
    ("lighthouse/project.py", "import lighthouse.check", "lighthouse: layers"),
]


def lint_imports(sources: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", "--config", "pyproject.toml"]
    environment = os.environ | {"COLUMNS": "1000"} | ({"PYTHONPATH": str(sources)} if sources else {})
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_every_layer_is_kept_and_lint_looks() -> None:
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lint-imports" in (ROOT / "scripts/lint").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy with every import of UPWARD."""
    folder = tmp_path_factory.mktemp("upward")
    for source in ROOT.glob("plugins/*/*/src/*"):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    for number, (file, line, _) in enumerate(UPWARD):
        changed = folder / file
        changed.write_text(changed.read_text() + f"\n\ndef upward{number}() -> None:\n    {line}\n")
    done = lint_imports(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("file", "line", "contract"), UPWARD)
def test_an_import_upward_breaks_its_contract(file: str, line: str, contract: str, report: str) -> None:
    assert any(told.startswith(contract) and told.endswith("BROKEN") for told in report.splitlines()), report
