"""`lakehouse prune`."""

from __future__ import annotations

import os

import click

from lakehouse.loads import read_local
from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.prune import prune
from lakehouse.terminal import say


@click.command("prune")
def command() -> None:
    """Remove local parts and manifests that are in Delta, and leftovers."""
    settings = load_settings(os.environ)
    known = newest(open_stage(settings), settings.target)
    gone = prune(settings.output, read_local(settings.output), set(known.committed) if known else set())
    say(f"{gone.loads} loads are in Delta and gone from here: {gone.files} files, {gone.bytes:,} bytes")
