"""`lakehouse status [--json]`."""

from __future__ import annotations

import os

import click
import msgspec

from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.states import look
from lakehouse.steps.status import Status, in_words, status_of
from lakehouse.terminal import show_table


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print the same as an object.")
def command(as_json: bool) -> None:
    """Show the last runs, each stream's newest load, its age and bookmark, and the loads that are not in Delta."""
    settings = load_settings(os.environ)
    stage = open_stage(settings)
    found = status_of(stage, settings.target, look(stage, settings.output, settings.target).loads)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1))
    else:
        _show(found)


def _show(found: Status) -> None:
    runs = [(each.at[:19].replace("T", " "), each.applied, each.rows, each.not_applied) for each in found.runs]
    show_table(f"Job runs into {found.target}, newest first (UTC)", ("at", "applied", "rows", "not in Delta"), runs)
    streams = [
        (f"{each.source}/{each.stream}", in_words(each.age_seconds), each.rows, each.table_rows, each.bookmark)
        for each in found.streams
    ]
    click.echo()
    show_table("Streams in Delta", ("stream", "read, ago", "rows of the load", "rows of the table", "bookmark"), streams)
    click.echo()
    if not found.loads:
        click.echo("Every load is in Delta.")
    for load in found.loads:
        click.echo(f"{load.load_id} {load.source}/{load.stream} {load.state}: {load.why}\n  what settles it: {load.settle}")
