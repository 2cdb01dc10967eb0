"""`lighthouse`: asked by entrypoint.sh, and by nobody else. Exit code 2 for a configuration with problems."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import click

from lighthouse import check as checks
from lighthouse import doctor as doctors
from lighthouse import environment, resolve, selection, state, variables
from lighthouse import plan as plans
from lighthouse.asking import Told, code_of, for_people
from lighthouse.project import Project
from lighthouse.unreached import unreached
from lighthouse.words import nearest, report
from singer_arrow.exits import Exit
from singer_arrow.lines import as_object, is_json, line


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
        text = report(found)
        click.echo(as_object("check", text, "error") if is_json(settled.values) else text, err=True)
        sys.exit(Exit.CONFIGURATION)
    gone = [name for name in os.environ if name not in settled.values]
    changed = {name: value for name, value in settled.values.items() if os.environ.get(name) != value}
    out = [f"-{name}" for name in gone] + [f"{name}={value}" for name, value in changed.items()]
    sys.stdout.buffer.write(b"".join(os.fsencode(each) + b"\0" for each in out))


@main.command()
def blocks() -> None:
    """Prints what follows `meltano run`: the taps and targets of the job `pipeline`."""
    click.echo(" ".join(plugin.name for block in _project().blocks for plugin in block))


@main.command()
@click.argument("exits", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("names", nargs=-1)
def left(exits: Path, names: tuple[str, ...]) -> None:
    """Prints those of some blocks (taps and targets) that a failed run did not come to; EXITS holds its plugins' notes."""
    click.echo(" ".join(unreached(names, exits.read_text().splitlines())))


@main.command()
@click.argument("unread", type=click.Path(path_type=Path, dir_okay=False))
def logins(unread: Path) -> None:
    """Prints the blocks whose sources may be read; exit code 3 where one lets nobody in, which UNREAD then tells, too."""
    project = _project()
    refused = doctors.refused(project, os.environ)
    with unread.open("a") as file:
        for tap, why in refused.items():
            click.echo(line("check", f"{tap}: {why}", "error"), err=True)
            file.write(f"{tap}: {why}\n")
    click.echo(" ".join(plugin.name for block in project.blocks if block.tap.name not in refused for plugin in block))
    sys.exit(Exit.EXTRACT if refused else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One list of all findings, each with the `part` it is of.")
def doctor(as_json: bool) -> None:
    """Lets every program look at its counterpart, and prints what they find; exit code 3 where something failed."""
    told = doctors.examine(_project(), os.environ, *(["--json"] if as_json else []))
    _tell(told, doctors.findings(told), as_json)


@main.command()
@click.argument("catalogs", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--json", "as_json", is_flag=True, help="One list of all steps, each with the `part` it is of.")
def plan(catalogs: Path, as_json: bool) -> None:
    """Lets every tap say what it would read and how; CATALOGS holds TAP.json for each. Exit code 3 where one could not."""
    told = plans.explain(_project(), os.environ, catalogs, *(["--json"] if as_json else []))
    _tell(told, plans.steps(told), as_json)


def _tell(told: list[Told], objects: list[dict[str, Any]], as_json: bool) -> None:
    """Ends with what programs said, as one list or for people; what those that failed said beside it is on standard error."""
    click.echo(json.dumps(objects, ensure_ascii=False, indent=2) if as_json else for_people(told), nl=as_json)
    for each in told:
        if each.code and each.errors and (as_json or each.out):
            click.echo(each.errors.rstrip(), err=True)
    sys.exit(code_of(told))


@main.command()
@click.argument("plugin")
def config(plugin: str) -> None:
    """Prints the configuration that Meltano would hand to a plugin, secrets included, as JSON."""
    project = _project()
    click.echo(json.dumps(resolve.config(project, project.plugins[plugin], os.environ)))


@main.command(name="state")
@click.argument("file", type=click.File("r"))
@click.option("--without", multiple=True, metavar="STREAM", help="A stream that gets no bookmark, and so is read whole.")
def state_(file: IO[str], without: tuple[str, ...]) -> None:
    """Makes Singer state by source, as `lakehouse bookmarks` prints it into FILE, Meltano's."""
    state.write(_project(), os.environ, json.load(file), without)


@main.command()
@click.argument("catalogs", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("streams", nargs=-1, required=True)
def choose(catalogs: Path, streams: tuple[str, ...]) -> None:
    """Prints what reads these streams alone, NUL-terminated: blocks=…, then NAME=value. CATALOGS holds TAP.json for each tap."""
    project = _project()
    taps = {block.tap.name for block in project.blocks}
    found = {tap: json.loads(file.read_text()) for tap in taps if (file := catalogs / f"{tap}.json").exists()}
    chosen = selection.choose(project, found, streams)
    if chosen.problems:
        click.echo("".join(f"entrypoint.sh: {problem}\n" for problem in chosen.problems), err=True, nl=False)
        sys.exit(Exit.CONFIGURATION if taps == found.keys() else Exit.EXTRACT)  # else a tap that has it could not be asked
    out = [f"blocks={' '.join(chosen.blocks)}", *(f"{name}={value}" for name, value in chosen.variables.items())]
    sys.stdout.buffer.write(b"".join(os.fsencode(each) + b"\0" for each in out))


@main.command()
@click.argument("word")
@click.argument("known", nargs=-1)
def suggest(word: str, known: tuple[str, ...]) -> None:
    """Prints the known word that is nearest, or nothing."""
    click.echo(nearest(word, known))


if __name__ == "__main__":
    main()
