"""`entrypoint.sh doctor`: every program looks at its counterpart, all at once; they are told in the order of a run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse import resolve
from lighthouse.check import LAKEHOUSE
from lighthouse.project import Project

CONFIGURATION, FAILED = 2, 3


@dataclass(frozen=True)
class Told:
    """What a program said, and its exit code; None for one that has no doctor."""

    part: str
    code: int | None
    out: str = ""
    errors: str = ""

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Its findings; what it says instead of them is one."""
        if self.code is None:
            return []
        try:
            return [{"part": self.part, **each} for each in json.loads(self.out)]
        except ValueError:
            text = (self.errors or self.out).strip() or f"it ended with {self.code}"
            return [{"part": self.part, "name": self.part, "status": "failed", "text": text, "fix": ""}]


def examine(project: Project, environment: Mapping[str, str], *options: str) -> list[Told]:
    """Asks every tap of the job `pipeline`, and the lakehouse. Configurations, with their secrets, are in files of ours alone."""
    with tempfile.TemporaryDirectory() as folder:
        asked = list(_asked(project, environment, Path(folder), options))
        told = []
        for part, process in asked:
            out, errors = process.communicate() if process else ("", "")
            told.append(Told(part, process.returncode if process else None, out, errors))
        return told


def _asked(
    project: Project, environment: Mapping[str, str], folder: Path, options: tuple[str, ...]
) -> Iterator[tuple[str, subprocess.Popen[str] | None]]:
    for tap in (block.tap for block in project.blocks):
        if not tap.can("doctor"):
            yield tap.name, None
            continue
        file = folder / f"{tap.name}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(resolve.config(project, tap, environment)))
        yield tap.name, _started([str(project.folder / tap.executable), "--config", str(file), "--doctor", *options], environment)
    yield "lakehouse", _started([str(project.folder / LAKEHOUSE), "doctor", *options], environment)


def _started(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def for_people(told: list[Told]) -> str:
    """Each program's findings below its name."""
    parts = []
    for each in told:
        said = "has no doctor" if each.code is None else (each.out or each.errors).rstrip()
        parts.append(f"{each.part}\n{said}\n")
    return "\n".join(parts)


def code_of(told: list[Told]) -> int:
    """2 where a program refused its configuration, 3 where something failed, else 0."""
    codes = {each.code for each in told}
    return CONFIGURATION if CONFIGURATION in codes else FAILED if codes - {0, None} else 0
