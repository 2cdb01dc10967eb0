"""`lakehouse convert`."""

from __future__ import annotations

import os
import time

import click

from lakehouse.loads import read_local
from lakehouse.settings import load_settings
from lakehouse.steps.convert import Conversion
from lakehouse.steps.verify import refuse_failures, show_results
from lakehouse.terminal import FINISH, say, waiting
from singer_arrow import lines
from singer_arrow.documents import DONE


@click.command("convert")
def command() -> None:
    """Run the job that applies staged loads to Delta, checks them, and writes the ledger."""
    settings = load_settings(os.environ)
    began = time.monotonic()
    with waiting(f"waiting for the job over {settings.target}"):
        results = Conversion.of(settings, say).apply(read_local(settings.output).loads)
    seconds = time.monotonic() - began
    if not results:
        if lines.step() != FINISH:
            say(f"nothing to convert: every staged load is in Delta ({settings.target})")
        return
    if lines.step():
        done = [result for result in results if result.status in DONE]
        figures = {"loads": len(done), "rows": sum(result.rows for result in done), "seconds": round(seconds, 3)}
        say(f"{len(done)} of {len(results)} loads are in Delta ({settings.target}); {seconds:.1f} s", figures=figures)
    else:
        show_results("Converted", results)
    refuse_failures(results)
