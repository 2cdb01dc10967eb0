"""Every program's own opinion of the values that it would be handed, told by the variable or the place that the user wrote."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse import resolve, variables
from lighthouse.environment import Settled, read_env_file
from lighthouse.project import Plugin, Project, Value, nested
from lighthouse.words import Problem

LAKEHOUSE = Path(".meltano/utilities/lakehouse/venv/bin/lakehouse")
TEMPLATE = ".env.save"


@dataclass(frozen=True)
class Program:
    """A program that answers `--check`, what it would be handed, and how its settings are told to people."""

    executable: Path
    config: Mapping[str, Any]
    plugin: Plugin | None = None
    values: Mapping[str, Value] | None = None

    def problem(self, told: Mapping[str, Any]) -> Problem:
        """A problem as the program tells it, by where the user wrote the value, or would write it."""
        setting, what = str(told["setting"]), str(told["what"])
        value, example = told.get("value"), str(told.get("example") or "")
        if self.plugin is None or self.values is None:
            return Problem(setting, what, _plain(value), example)
        root = re.split(r"[.\[]", setting, maxsplit=1)[0]
        origin = next((found for name, found in self.values.items() if name == setting or name.partition(".")[0] == root), None)
        is_simple = setting == root
        if origin is None and is_simple and setting in self.plugin.settings:
            return Problem(self.plugin.variable(setting), what, None, example)
        if origin is not None and origin.variable:
            return Problem(
                origin.variable, what if is_simple else f"({setting}) {what}", _plain(value) if is_simple else None, example
            )
        return Problem(f"meltano.yml, {self.plugin.name}, {setting}", what, value, example)


def problems(project: Project, settled: Settled) -> list[Problem]:
    """Every problem of the configuration, without connecting anywhere."""
    programs = [*_programs(project, settled.values), _lakehouse(settled.values)]
    answers = list(_answers(project.folder, programs))
    known = variables.known(project) | {
        name for program, answer in answers if program.plugin is None for name in answer["settings"]
    }
    template, _ = read_env_file(project.folder / TEMPLATE)
    unfilled = list(variables.placeholders(settled.values, template))
    told = [program.problem(each) for program, answer in answers for each in answer["problems"]]
    named = {problem.where for problem in [*settled.problems, *unfilled]}
    return [
        *settled.problems,
        *unfilled,
        *variables.strangers(settled.values, settled.from_file, project, known),
        *(problem for problem in told if problem.where not in named),
    ]


def _programs(project: Project, environment: Mapping[str, str]) -> Iterator[Program]:
    for plugin in dict.fromkeys(plugin.name for block in project.blocks for plugin in block):
        found = project.plugins[plugin]
        if found.can("check"):
            values = resolve.values(project, found, environment)
            yield Program(found.executable, nested({name: value.value for name, value in values.items()}), found, values)


def _lakehouse(environment: Mapping[str, str]) -> Program:
    return Program(LAKEHOUSE, {name: value for name, value in environment.items() if name.partition("_")[0] in variables.OTHERS})


def _answers(folder: Path, programs: Iterable[Program]) -> Iterator[tuple[Program, dict[str, Any]]]:
    """Asks all programs at once; what one cannot answer is a problem of its own."""
    asked = [(program, _ask(folder / program.executable)) for program in programs]
    for program, process in asked:
        if process is None:
            name = program.executable.name
            yield (
                program,
                {"settings": [], "problems": [{"setting": name, "what": "is not installed; run scripts/setup pipeline"}]},
            )
            continue
        answer, said = process.communicate(json.dumps(program.config).encode())
        try:
            yield program, json.loads(answer)
        except ValueError:
            raise SystemExit(
                f"{program.executable} --check ended with {process.returncode}: {said.decode(errors='replace')}"
            ) from None


def _ask(executable: Path) -> subprocess.Popen[bytes] | None:
    try:
        pipe = subprocess.PIPE
        return subprocess.Popen([executable, "--check"], stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        return None


def _plain(value: Any) -> str | None:
    """A value as the user wrote it into a variable, without the quotes that show where text begins."""
    if not isinstance(value, str):
        return None
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
