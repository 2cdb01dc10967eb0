"""Meltano's state from Delta's bookmarks: one process for all blocks.

`meltano state set` would start Meltano once for each. With the file backend of meltano.yml the files are written the way Meltano
writes them (meltano.core.state_store.filesystem); any other backend is left to Meltano itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lighthouse import resolve
from lighthouse.project import MELTANO, Project, expanded

URI = "MELTANO_STATE_BACKEND_URI"


def write(project: Project, environment: Mapping[str, str], bookmarks: Mapping[str, Any]) -> list[str]:
    """Sets the state of every block to its source's; an empty one where nothing is known. Returns the ids written.

    `bookmarks` is Singer state by source: {"sqlserver": {"bookmarks": {…}}}.
    """
    states = {}
    for block in project.blocks:
        values = resolve.values(project, block.target, environment)
        source = values["source"].value if "source" in values else Path(str(values["destination_path"].value)).name
        states[project.state_id(block)] = bookmarks.get(str(source), {})
    uri = urlsplit(str(expanded(environment.get(URI) or project.state_uri, environment)))
    if uri.scheme == "file":
        _to_files(Path(unquote(uri.path)), states)
    else:
        _by_meltano(project, states)
    return list(states)


def _to_files(folder: Path, states: Mapping[str, Any]) -> None:
    for state_id, state in states.items():
        file = folder / state_id / "state.json"
        if not state and not file.exists():
            continue  # nothing to say, and nothing said before: the usual first run
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        hidden.write_text(json.dumps({"completed": {"singer_state": state}, "partial": {}}))
        hidden.replace(file)


def _by_meltano(project: Project, states: Mapping[str, Any]) -> None:
    """One start of Meltano for each state. Raises SystemExit where it fails."""
    for state_id, state in states.items():
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"singer_state": state}, file)
            file.flush()
            command = [
                str(project.folder / MELTANO),
                "--log-level=error",
                "state",
                "set",
                "--force",
                "--input-file",
                file.name,
                state_id,
            ]
            done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"Meltano cannot write the state {state_id}:\n{done.stderr.strip()}")
