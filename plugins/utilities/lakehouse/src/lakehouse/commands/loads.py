"""`lakehouse loads [--json]`."""

from __future__ import annotations

import os

import click
import msgspec

from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.states import look
from lakehouse.terminal import say, show_table

COLUMNS = ("load", "stream", "mode", "state", "rows")


@click.command("loads")
@click.option("--json", "as_json", is_flag=True, help="Print the same as a list of objects.")
def command(as_json: bool) -> None:
    """Show every load that is here, on the stage or refused: its state, why, and what settles it."""
    settings = load_settings(os.environ)
    found, passed_over = look(open_stage(settings), settings.output, settings.target)
    for other in passed_over:
        say(other.line)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1))
        return
    if not found:
        click.echo("There are no loads, here or on the stage.")
        return
    rows = [(each.load_id, f"{each.source}/{each.stream}", each.mode, each.state, each.rows) for each in found]
    show_table(f"{len(found)} loads", COLUMNS, rows, left=4)
    for each in found:
        if each.settle:
            click.echo(f"{each.load_id} {each.state}: {each.why or 'no reason was published'}\n  what settles it: {each.settle}")
