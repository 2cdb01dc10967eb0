"""`lakehouse reconcile FIGURES [--into FILE]`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lakehouse.settings import load_settings
from lakehouse.steps import reconcile
from lakehouse.steps.convert import Conversion
from lakehouse.terminal import say
from singer_arrow import documents


@click.command("reconcile")
@click.argument("figures", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--into",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where something can be repaired: writes it there, and is content.",
)
def command(figures: Path, into: Path | None) -> None:
    """Compare what the source holds (FIGURES, by tap-mssql --reconcile) with Delta. Exit code 6 when something differs."""
    settings = load_settings(os.environ)
    source = reconcile.read_source(figures)
    found = reconcile.compare(source, Conversion.of(settings, say).figures(reconcile.order_of(source)))
    kept = reconcile.write(found, settings.output.parent / reconcile.FOLDER)
    reconcile.show(found)
    say(f"what was found is in {kept}")
    if into and reconcile.repairable(found):
        for line in reconcile.lines(found, kept):
            say(line.strip())
        documents.write(into, found)
        return
    reconcile.refuse_differences(found, kept)
