"""`lakehouse report`."""

from __future__ import annotations

import os

import click

from lakehouse.loads import read_local
from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.report import of_last_run, show_report
from lakehouse.steps.verify import refuse_failures, results_of
from singer_arrow import lines


@click.command("report")
@click.option("--brief", is_flag=True, help="Of many streams only the largest, and those that there is something to say of.")
def command(brief: bool) -> None:
    """Show what the run moved: rows read, rows in Delta and seconds per stream. Exit code 6 when figures differ."""
    settings = load_settings(os.environ)
    known = newest(open_stage(settings), settings.target)
    local = of_last_run(read_local(settings.output).loads, known)
    show_report(local, known, brief and not lines.is_debug())
    refuse_failures(results_of(local, known))
