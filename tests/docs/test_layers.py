"""Layers: no import goes upward and none in a circle; the contracts in pyproject.toml would notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_kit import ROOT

CONTRACTS = [
    ("lakehouse/errors.py", "import lakehouse.cli", "lakehouse: layers BROKEN"),
    ("lakehouse/workspace/rest.py", "from lakehouse.stages import base", "lakehouse: layers BROKEN"),
    ("lakehouse/stages/base.py", "from lakehouse.workspace import rest", "the base of all stages knows no storage BROKEN"),
    ("lakehouse/job/types.py", "from lakehouse.job.facts import measure", "lakehouse.job: layers BROKEN"),
    ("lakehouse/job/loads.py", "from singer_arrow import names", "lakehouse.job: travels alone BROKEN"),
    ("singer_arrow/names.py", "from singer_arrow import parts", "singer_arrow: layers BROKEN"),
]


def lint_imports(sources: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo", "--config", "pyproject.toml"]
    environment = os.environ | ({"PYTHONPATH": str(sources)} if sources else {})
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def test_every_layer_is_kept_and_lint_looks() -> None:
    done = lint_imports()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lint-imports" in (ROOT / "scripts/lint").read_text()


@pytest.mark.parametrize(("file", "line", "told"), CONTRACTS)
def test_an_import_upward_breaks_its_contract(tmp_path: Path, file: str, line: str, told: str) -> None:
    for package in {file.partition("/")[0], "singer_arrow", "lakehouse"}:
        [source] = ROOT.glob(f"plugins/*/*/src/{package}")
        shutil.copytree(source, tmp_path / package)
    changed = tmp_path / file
    changed.write_text(changed.read_text() + f"\n\ndef upward() -> None:\n    {line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1 and told in done.stdout, done.stdout + done.stderr
