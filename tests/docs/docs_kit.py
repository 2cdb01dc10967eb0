"""What the tests of the documents share: where they are, how commands are run, which variables they name."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README, PORTUGUESE = ROOT / "README.md", ROOT / "README.pt-BR.md"
DOCUMENTS = [
    README, PORTUGUESE, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "sandbox/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]  # fmt: skip
NOT_VARIABLES = {"NAME_FILE", "FULL_TABLE", "LOG_BASED"}  # words in the documents that look like variables


def run(*command: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with no variable of the pipeline set."""
    ours = re.compile(r"(TAP_|API_|DATABRICKS_|LAKEHOUSE_|MELTANO_|TARGET_)")
    environment = {name: value for name, value in os.environ.items() if not ours.match(name)} | more
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


@cache
def documented() -> set[str]:
    return variables_in(README)


def variables_in(document: Path) -> set[str]:
    """Names in backticks that are environment variables."""
    return set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", document.read_text())) - NOT_VARIABLES
