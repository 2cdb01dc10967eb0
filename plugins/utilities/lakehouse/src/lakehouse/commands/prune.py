"""`lakehouse prune`."""

from __future__ import annotations

import os

import click

from lakehouse.loads import read_local
from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.prune import StagedFiles, outdated, prune_here, prune_published
from lakehouse.terminal import detail


@click.command("prune")
def command() -> None:
    """Remove files of loads that are in Delta, here and on the stage, but for the newest of each stream; and leftovers."""
    settings = load_settings(os.environ)
    stage, local = open_stage(settings), read_local(settings.output)
    known = newest(stage, settings.target)
    committed = set(known.committed) if known else set()
    staged = StagedFiles(stage)
    going = outdated(staged.streams(local, known.loads if known else [], committed), committed, settings.keep_loads)
    there, here = staged.remove(going), prune_here(settings.output, local, committed, going)
    prune_published(stage)
    for gone, where in ((here, "here"), (there, "on the stage")):
        detail(f"{gone.loads} loads are in Delta and gone {where}: {gone.files} files, {gone.bytes:,} bytes")
