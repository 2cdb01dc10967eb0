"""`lakehouse verify [--again]`."""

from __future__ import annotations

import os

import click

from lakehouse.loads import read_local
from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.convert import Conversion
from lakehouse.steps.upload import is_for
from lakehouse.steps.verify import refuse_failures, refuse_gone, results_of, show_results
from lakehouse.terminal import say
from singer_arrow.documents import LoadResult


@click.command("verify")
@click.option("--again", is_flag=True, help="Recompute the figures in Delta with a job that writes no data.")
def command(again: bool) -> None:
    """Show source, Parquet and Delta rows per load, and whether all figures are equal."""
    settings = load_settings(os.environ)
    local = [load for load in read_local(settings.output).loads if is_for(load, settings.target)]
    gone: list[LoadResult] = []
    if again:
        results, gone = Conversion.of(settings, say).check_again(local)
    else:
        stage = open_stage(settings)
        results = results_of(local, newest(stage, settings.target), stage)
    show_results("Verified again" if again else "Verified", results)
    refuse_failures(results, again)
    refuse_gone(gone)
