"""`entrypoint.sh doctor`: every program looks at its counterpart, all at once; they are told in the order of a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lighthouse.asking import Told, ask, config_file
from lighthouse.check import LAKEHOUSE
from lighthouse.project import Project


def examine(project: Project, environment: Mapping[str, str], *options: str) -> list[Told]:
    """Asks every tap of the job `pipeline`, and the lakehouse."""
    with tempfile.TemporaryDirectory() as folder:
        return ask(_commands(project, environment, Path(folder), options), environment)


def findings(told: list[Told]) -> list[dict[str, Any]]:
    """What all found; what a program says instead of findings is one."""
    found: list[dict[str, Any]] = []
    for each in told:
        if each.code is None:
            continue
        text = (each.errors or each.out).strip() or f"it ended with {each.code}"
        instead = [{"part": each.part, "name": each.part, "status": "failed", "text": text, "fix": ""}]
        found += instead if each.objects is None else each.objects
    return found


def _commands(
    project: Project, environment: Mapping[str, str], folder: Path, options: tuple[str, ...]
) -> Iterator[tuple[str, list[str] | str]]:
    for tap in (block.tap for block in project.blocks):
        if tap.can("doctor"):
            config = config_file(project, tap, environment, folder)
            yield tap.name, [str(project.folder / tap.executable), "--config", config, "--doctor", *options]
        else:
            yield tap.name, "has no doctor"
    yield "lakehouse", [str(project.folder / LAKEHOUSE), "doctor", *options]
