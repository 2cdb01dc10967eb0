"""`lakehouse alert`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from lakehouse.settings import load_settings
from lakehouse.terminal import say
from singer_arrow import masks


@click.command("alert")
@click.option("--code", type=int, required=True, help="Exit code of the run.")
@click.option("--notes", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run's notes.")
def command(code: int, notes: Path) -> None:
    """Tell ALERT_WEBHOOK that a run failed, or that one is well again. Ends with 0 also where it could not be reached."""
    from lakehouse.steps import alert

    settings = load_settings(os.environ)
    before = alert.remembered(settings.output)
    if code == 0 and before is None:
        return
    told = [masks.of_run().hidden(line) for line in alert.said([notes / "unread", notes / "said"])]
    found = alert.alert_of(code, os.environ.get("MELTANO_RUN_ID", ""), settings.target, before, told, datetime.now(UTC))
    if found is None or not settings.alert_webhook:
        return
    wrong = alert.post(settings.alert_webhook.reveal(), msgspec.json.encode(found))
    if wrong:
        say(f"ALERT_WEBHOOK was not reached, and {found.event} not told there: {wrong}", level="warning")
        if found.event == "recovery":
            return  # the next run tells it
    try:
        alert.remember(settings.output, found)
    except OSError as error:
        say(f"the next run will not know that this one failed: {error}", level="warning")
