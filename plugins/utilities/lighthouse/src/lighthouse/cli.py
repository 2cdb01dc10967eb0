"""`lighthouse`: asked by entrypoint.sh, and by nobody else. Exit code 2 for a configuration with problems."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO

import click

from lighthouse import check as checks
from lighthouse import environment, resolve, state, variables
from lighthouse.project import Project
from lighthouse.words import nearest, report

CONFIGURATION = 2


@click.group()
def main() -> None:
    """What entrypoint.sh needs to know of the environment and of meltano.yml."""


def _project() -> Project:
    return Project(Path(os.environ.get("MELTANO_PROJECT_ROOT") or "."))


@main.command()
@click.option("--check", is_flag=True, help="Also asks every program for its opinion; exit code 2 where one has a problem.")
def settle(check: bool) -> None:
    """Prints the pipeline's variables as NUL-terminated NAME=value, and the names to unset with a minus before each."""
    project = _project()
    pattern = variables.ours(project)
    settled = environment.settle(os.environ, project.folder / ".env", pattern, variables.known(project) | set(variables.FILES))
    found = checks.problems(project, settled) if check else settled.problems
    if found:
        click.echo(report(found), err=True)
        sys.exit(CONFIGURATION)
    gone = [name for name in os.environ if name not in settled.values]
    changed = {name: value for name, value in settled.values.items() if os.environ.get(name) != value}
    out = [f"-{name}" for name in gone] + [f"{name}={value}" for name, value in changed.items()]
    sys.stdout.buffer.write(b"".join(os.fsencode(each) + b"\0" for each in out))


@main.command()
def blocks() -> None:
    """Prints what follows `meltano run`: the taps and targets of the job `pipeline`."""
    click.echo(" ".join(plugin.name for block in _project().blocks for plugin in block))


@main.command()
@click.argument("plugin")
def config(plugin: str) -> None:
    """Prints the configuration that Meltano would hand to a plugin, secrets included, as JSON."""
    project = _project()
    click.echo(json.dumps(resolve.config(project, project.plugins[plugin], os.environ)))


@main.command(name="state")
@click.argument("file", type=click.File("r"))
def state_(file: IO[str]) -> None:
    """Makes Singer state by source, as `lakehouse bookmarks` prints it into FILE, Meltano's."""
    state.write(_project(), os.environ, json.load(file))


@main.command()
@click.argument("word")
@click.argument("known", nargs=-1)
def suggest(word: str, known: tuple[str, ...]) -> None:
    """Prints the known word that is nearest, or nothing."""
    click.echo(nearest(word, known))


if __name__ == "__main__":
    main()
