"""The command `tap-mssql`: errors as messages instead of tracebacks, and a short way for what Meltano runs."""

from __future__ import annotations

import sys

from singer_arrow import batch, catalog, check, exits, lines
from singer_arrow.exits import Exit
from singer_arrow.start import importing
from tap_mssql.config.settings import PROGRAM, Settings


def main() -> None:
    """Runs the tap; what a person can correct is one message. Exit code 2 for configuration, 3 for anything else."""
    arguments = sys.argv[1:]
    if check.asked(arguments):
        sys.exit(check.answer(Settings))
    command = batch.command(arguments)
    with importing():
        from singer_arrow.errors import ArrowSingerError, SelectionRefused, SettingsRefused
        from singer_arrow.process import tame_memory
        from tap_mssql.errors import TapError

        accepting = "--accept" in arguments
        if accepting:
            from tap_mssql.accept import command as accept
        elif command is None:
            from tap_mssql.singer.tap import TapMssql
        else:
            import tap_mssql.singer.batch_output  # noqa: F401  (imported here, used in _run)
    tame_memory()
    try:
        if accepting:
            exits.on_signals(PROGRAM)
            sys.exit(accept.main(arguments))
        if command is None:
            TapMssql.cli()
        else:
            _run(command)
    except (SettingsRefused, SelectionRefused) as error:
        exits.leave(PROGRAM, error, Exit.CONFIGURATION)
    except (TapError, ArrowSingerError) as error:
        exits.leave(PROGRAM, error, Exit.EXTRACT)
    except OSError as error:
        what = f"{error.filename or 'the disk'}: {error.strerror or error}"
        exits.leave(PROGRAM, TapError(what, action="solve the problem with this file or folder, and run again"), Exit.EXTRACT)


def _run(command: batch.Command) -> None:
    from tap_mssql.config import settings
    from tap_mssql.singer import batch_output
    from tap_mssql.singer.run import Run

    lines.log("extract")
    exits.on_signals(PROGRAM)
    wanted = None if command.discover or command.catalog is None else catalog.selected(command.catalog)
    run = Run(settings.parse(command.config), command.config["batch_config"], wanted)
    if command.discover:
        batch.write(batch_output.discover(run))
    else:
        batch_output.sync(run, batch_output.choices(run, command.catalog), command.state, batch.write)
    exits.done(PROGRAM)
