"""`entrypoint.sh plan`: every tap says what it would read and how, with the catalog and the bookmarks that it would have."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lighthouse import state
from lighthouse.asking import Told, ask, config_file
from lighthouse.project import Project


def explain(project: Project, environment: Mapping[str, str], catalogs: Path, *options: str) -> list[Told]:
    """Asks every tap of the job `pipeline`; `catalogs` holds TAP.json for each whose catalog could be had."""
    with tempfile.TemporaryDirectory() as folder:
        return ask(_commands(project, environment, Path(folder), catalogs, options), environment)


def steps(told: list[Told]) -> list[dict[str, Any]]:
    """The steps of all taps."""
    return [step for each in told for step in each.objects or ()]


def _commands(
    project: Project, environment: Mapping[str, str], folder: Path, catalogs: Path, options: tuple[str, ...]
) -> Iterator[tuple[str, list[str] | str]]:
    for tap in (block.tap for block in project.blocks):
        catalog = catalogs / f"{tap.name}.json"
        if not tap.can("plan"):
            yield tap.name, "says nothing of what it would read"
        elif not catalog.exists():
            yield tap.name, "could not be asked: its catalog could not be had, as said above"
        else:
            config, known = config_file(project, tap, environment, folder), folder / f"{tap.name}.state.json"
            known.write_text(json.dumps(state.read(project, environment, tap.name)))
            files = ["--config", config, "--catalog", str(catalog), "--state", str(known)]
            yield tap.name, [str(project.folder / tap.executable), *files, "--plan", *options]
