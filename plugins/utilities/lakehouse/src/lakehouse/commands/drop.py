"""`lakehouse drop LOAD...`."""

from __future__ import annotations

import os

import click

from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.drop import chosen, drop
from lakehouse.steps.states import take_inventory
from lakehouse.terminal import say
from lakehouse.workspace.jobs import Jobs
from lakehouse.workspace.rest import Workspace


@click.command("drop")
@click.argument("loads", nargs=-1, required=True, metavar="LOAD...")
def command(loads: tuple[str, ...]) -> None:
    """Give up loads that are not applied: remove their files here and on the stage. The beginning of an id is enough."""
    settings = load_settings(os.environ)
    stage = open_stage(settings)
    Jobs(Workspace(settings), settings).wait_for_others(say)  # a run that is still going on may apply the load
    inventory = take_inventory(stage, settings.output, settings.target)
    drop(stage, settings.output, inventory, chosen(loads, inventory), say)
