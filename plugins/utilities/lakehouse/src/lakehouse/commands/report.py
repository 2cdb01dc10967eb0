"""`lakehouse report`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lakehouse.errors import LakehouseError
from lakehouse.loads import read_local
from lakehouse.published import newest
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.report import of_last_run, show_report
from lakehouse.steps.run_report import send_report, write_report
from lakehouse.steps.upload import is_for
from lakehouse.steps.verify import refuse_failures, results_of
from lakehouse.terminal import say
from singer_arrow import lines

RUN_ID = "MELTANO_RUN_ID"


@click.command("report")
@click.option("--brief", is_flag=True, help="Of many streams only the largest, and those that there is something to say of.")
@click.option(
    "--notes", type=click.Path(path_type=Path, file_okay=False), help="Folder of a run's notes: its report is written too."
)
def command(brief: bool, notes: Path | None) -> None:
    """Show what the run moved: rows read, rows in Delta and seconds per stream. Exit code 6 when figures differ."""
    settings = load_settings(os.environ)
    stage = open_stage(settings)
    known = newest(stage, settings.target)
    local = of_last_run([load for load in read_local(settings.output).loads if is_for(load, settings.target)], known)
    show_report(local, known, brief and not lines.is_debug())
    if notes and settings.keep_reports:
        run_id, committed = os.environ.get(RUN_ID, ""), set(known.committed) if known else set()
        of_run = [load for load in local if load.manifest.run_id == run_id or load.load_id not in committed]
        try:
            page = write_report(notes, settings.output, run_id, settings.target, of_run, known, settings.keep_reports)
            say(f"report: {page}")
            if settings.send_reports:
                send_report(stage, page, settings.keep_reports)
        except OSError as error:  # the data is where it belongs: a report less is no failed run
            say(f"no report was written: {error}", level="warning")
        except LakehouseError as error:
            say(f"the report was not sent to {settings.stage}: {error.what}", level="warning")
    refuse_failures(results_of(local, known, stage))
