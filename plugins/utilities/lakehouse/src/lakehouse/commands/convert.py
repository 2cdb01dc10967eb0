"""`lakehouse convert`."""

from __future__ import annotations

import os

import click

from lakehouse.loads import read_local
from lakehouse.settings import load_settings
from lakehouse.steps.convert import Conversion
from lakehouse.steps.verify import refuse_failures, show_results
from lakehouse.terminal import say


@click.command("convert")
def command() -> None:
    """Run the job that applies staged loads to Delta, checks them, and writes the ledger."""
    settings = load_settings(os.environ)
    results = Conversion.of(settings, say).apply(read_local(settings.output).loads)
    if not results:
        say("nothing to convert: every staged load is in Delta")
        return
    show_results("Converted", results)
    refuse_failures(results)
