"""`lakehouse finish`."""

from __future__ import annotations

import os

import click

from lakehouse.commands import CODES, convert, prune, upload
from lakehouse.errors import LakehouseError
from lakehouse.settings import PROGRAM, load_settings
from singer_arrow import exits
from singer_arrow.exits import Exit

STEPS = (("prune", prune.command), ("upload", upload.command), ("convert", convert.command), ("prune", prune.command))
NO_MORE = (Exit.CONFIGURATION, Exit.LOCKED)  # what ends a run in any of its steps


@click.command("finish")
def command() -> None:
    """Bring to Delta what an earlier run left, here and on the stage; remove files that are needless. One process for all of it.

    A step that fails holds the others back with ON_FAILURE=stop alone; the exit code is that of the first.
    """
    stops = load_settings(os.environ).on_failure == "stop"
    owed = Exit.DONE
    for name, step in STEPS:
        try:
            assert step.callback
            step.callback()
        except LakehouseError as error:
            code = error.exit_code or CODES[name]
            exits.tell(PROGRAM, error, code)
            owed = code if owed is Exit.DONE or code in NO_MORE else owed
            if stops or code in NO_MORE:
                break
    raise SystemExit(owed)
