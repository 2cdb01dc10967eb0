"""`entrypoint.sh doctor`: every program looks at its counterpart, all at once; they are told in the order of a run.

A run asks the taps for the login alone, before any reads.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lighthouse.asking import Told, ask, config_file
from lighthouse.check import LAKEHOUSE
from lighthouse.project import Block, Project

LOGIN = "login"  # the finding's name, singer_arrow.findings; a tap that cannot log in is not run


def examine(project: Project, environment: Mapping[str, str], *options: str) -> list[Told]:
    """Asks every tap of the job `pipeline`, and the lakehouse."""
    with tempfile.TemporaryDirectory() as folder:
        parts = [*_taps(project, project.blocks, environment, Path(folder), options), _lakehouse(project, options)]
        return ask(parts, environment)


def refused(project: Project, environment: Mapping[str, str]) -> dict[str, str]:
    """Why a tap's source does not let it in, by the tap's name, for those that wait while the first block is read.

    The first tap finds out by itself at once. What else a doctor may find is no reason not to try: reading has more patience.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = ask(_taps(project, project.blocks[1:], environment, Path(folder), (f"--{LOGIN}", "--json")), environment)
    return {
        each.part: " ".join(f"{found['text'].rstrip('.')}. What to do: {found['fix'].rstrip('.')}.".split())
        for each in told
        for found in each.objects or ()
        if (found["name"], found["status"]) == (LOGIN, "failed")
    }


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


def _taps(
    project: Project, blocks: Sequence[Block], environment: Mapping[str, str], folder: Path, options: tuple[str, ...]
) -> Iterator[tuple[str, list[str] | str]]:
    for tap in (block.tap for block in blocks):
        if tap.can("doctor"):
            config = config_file(project, tap, environment, folder)
            yield tap.name, [str(project.folder / tap.executable), "--config", config, "--doctor", *options]
        else:
            yield tap.name, "has no doctor"


def _lakehouse(project: Project, options: tuple[str, ...]) -> tuple[str, list[str] | str]:
    return "lakehouse", [str(project.folder / LAKEHOUSE), "doctor", *options]
