"""Asks several programs at once, each about its own part, and keeps what each says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse import resolve
from lighthouse.project import Plugin, Project
from singer_arrow.exits import Exit

QUIET = {"LOGLEVEL": "WARNING"}  # the Singer SDK's: what it does is no part of an answer


@dataclass(frozen=True)
class Told:
    """What a program said, and its exit code; None for one that cannot be asked, `out` being why."""

    part: str
    code: int | None
    out: str = ""
    errors: str = ""

    @property
    def objects(self) -> list[dict[str, Any]] | None:
        """The list of objects that it printed, each with its `part`; None where it printed none."""
        try:
            return [{"part": self.part, **each} for each in json.loads(self.out)]
        except ValueError:
            return None

    @property
    def words(self) -> str:
        """What it said, for people."""
        return (self.out or self.errors).rstrip()


def ask(commands: Iterable[tuple[str, list[str] | str]], environment: Mapping[str, str]) -> list[Told]:
    """Runs a command for each part, side by side; a text in its place is why the part cannot be asked."""
    asked = [(part, command if isinstance(command, str) else _started(command, environment)) for part, command in commands]
    told = []
    for part, process in asked:
        if isinstance(process, str):
            told.append(Told(part, None, process))
        else:
            out, errors = process.communicate()
            told.append(Told(part, process.returncode, out, errors))
    return told


def config_file(project: Project, tap: Plugin, environment: Mapping[str, str], folder: Path) -> str:
    """The path of a file, for us alone, with the configuration that Meltano would hand to a tap; it has secrets."""
    file = folder / f"{tap.name}.config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(resolve.config(project, tap, environment)))
    return str(file)


def for_people(told: list[Told]) -> str:
    """What each program says, below its name."""
    return "\n".join(f"{each.part}\n{each.words}\n" for each in told)


def code_of(told: list[Told]) -> int:
    """2 where a program refused its configuration, 3 where something failed, else 0."""
    codes = {each.code for each in told}
    return Exit.CONFIGURATION if Exit.CONFIGURATION in codes else Exit.EXTRACT if codes - {0, None} else 0


def _started(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=QUIET | dict(environment), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
