"""A throw-away project folder for tests and benchmarks: the same files and plugins (links), its own output and state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sandbox.launch import ROOT

COPIED = ("entrypoint.sh", "meltano.yml")  # a script finds its folder by its own path; Meltano refuses a link that leaves it
LINKED = (".venv", "logging.yaml", "plugins", ".env.save")
PLUGIN_KINDS = ("extractors", "loaders", "utilities")


def make(folder: Path) -> Path:
    """Links the project's files into `folder`, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copy(ROOT / name, folder / name)
    for name in LINKED:
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / ".meltano").mkdir(exist_ok=True)
    for kind in PLUGIN_KINDS:
        if (ROOT / ".meltano" / kind).exists() and not (folder / ".meltano" / kind).exists():
            (folder / ".meltano" / kind).symlink_to(ROOT / ".meltano" / kind)
    return folder


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """A bare environment with the pipeline's variables."""
    path = f"{ROOT}/.venv/bin:/usr/local/bin:/usr/bin:/bin"
    kept = {
        name: os.environ[name]
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "COVERAGE_PROCESS_START", "LIGHTHOUSE_COVERAGE")
        if name in os.environ
    }
    return {
        **kept,
        "PATH": path,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        **variables,
    }
