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


@click.command("report")
def command() -> None:
    """Show what the run moved: rows, seconds and rows/s per stream. Exit code 6 when figures differ."""
    settings = load_settings(os.environ)
    known = newest(open_stage(settings), settings.target)
    local = of_last_run(read_local(settings.output).loads, known)
    show_report(local, known)
    refuse_failures(results_of(local, known))
