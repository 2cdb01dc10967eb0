"""The layers of pyproject.toml hold, and an import that breaks them is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "plugins/extractors/tap-mssql/src/tap_mssql"


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the packages in a folder."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml"]
    return subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("file", "imported"),
    [
        ("read/ranges.py", "tap_mssql.server.session"),
        ("read/spool.py", "tap_mssql.config.settings"),
        ("server/session.py", "tap_mssql.plan.statements"),
        ("server/retry.py", "tap_mssql.server.connection"),
        ("errors.py", "tap_mssql.config.patterns"),
    ],
)
def test_an_import_upward_or_in_a_circle_fails(file: str, imported: str, tmp_path: Path) -> None:
    shutil.copytree(SOURCES, tmp_path / "tap_mssql", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "tap_mssql" / file).open("a") as source:
        source.write(f"\nimport {imported}\n")
    broken = linted(tmp_path)
    assert broken.returncode == 1 and "BROKEN" in broken.stdout, broken.stdout + broken.stderr


def test_the_project_keeps_its_layers() -> None:
    kept = linted(ROOT)
    assert kept.returncode == 0, kept.stdout + kept.stderr
