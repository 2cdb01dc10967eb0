"""`lakehouse bookmarks`."""

from __future__ import annotations

import json
import os

import click

from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage


@click.command("bookmarks")
def command() -> None:
    """Print the Singer state that Delta really holds, as JSON by source; {} when there is none."""
    settings = load_settings(os.environ)
    known = newest(open_stage(settings), settings.target)
    states = {source: {"bookmarks": streams} for source, streams in known.bookmarks.items()} if known else {}
    click.echo(json.dumps(states, indent=1, sort_keys=True))
