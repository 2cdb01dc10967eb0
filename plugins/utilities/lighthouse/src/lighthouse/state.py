"""Meltano's state from Delta's bookmarks: one process for all blocks.

`meltano state set` would start Meltano once for each. With the file backend of meltano.yml the files are written the way Meltano
writes them (meltano.core.state_store.filesystem); any other backend is left to Meltano itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lighthouse import resolve
from lighthouse.project import MELTANO, Project, expanded

URI = "MELTANO_STATE_BACKEND_URI"


def write(
    project: Project, environment: Mapping[str, str], bookmarks: Mapping[str, Any], without: Collection[str] = ()
) -> list[str]:
    """Sets the state of every block to its source's; an empty one where nothing is known. Returns the ids written.

    `bookmarks` is Singer state by source: {"sqlserver": {"bookmarks": {…}}}. The streams `without` get none: they are read whole.
    """
    states = {}
    for block in project.blocks:
        values = resolve.values(project, block.target, environment)
        source = values["source"].value if "source" in values else Path(str(values["destination_path"].value)).name
        states[project.state_id(block)] = _left(bookmarks.get(str(source), {}), without)
    folder = _folder(project, environment)
    if folder:
        _to_files(folder, states)
    else:
        _by_meltano(project, states)
    return list(states)


def read(project: Project, environment: Mapping[str, str], tap: str) -> dict[str, Any]:
    """The Singer state that Meltano would hand to a tap in the job `pipeline`; empty where there is none."""
    found: dict[str, Any] = {}
    folder = _folder(project, environment)
    for state_id in (project.state_id(block) for block in project.blocks if block.tap.name == tap):
        if folder:
            file = folder / state_id / "state.json"
            state = json.loads(file.read_text()).get("completed") or {} if file.exists() else {}
        else:
            state = json.loads(_meltano(project, "get", state_id) or "{}")
        found |= state.get("singer_state") or {}
    return found


def _folder(project: Project, environment: Mapping[str, str]) -> Path | None:
    """Where the file backend keeps states; None for another backend."""
    uri = urlsplit(str(expanded(environment.get(URI) or project.state_uri, environment)))
    return Path(unquote(uri.path)) if uri.scheme == "file" else None


def _left(state: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    bookmarks = {stream: each for stream, each in (state.get("bookmarks") or {}).items() if stream not in without}
    return {**state, "bookmarks": bookmarks} if state else {}


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
            _meltano(project, "set", "--force", "--input-file", file.name, state_id)


def _meltano(project: Project, *arguments: str) -> str:
    """What `meltano state` prints. Raises SystemExit where it fails."""
    command = [str(project.folder / MELTANO), "--log-level=error", "state", *arguments]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"Meltano cannot {arguments[0]} the state {arguments[-1]}:\n{done.stderr.strip()}")
    return done.stdout
