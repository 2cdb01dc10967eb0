"""The command `target-parquet`: Singer messages on standard input, STATE on standard output."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from singer_arrow import check, exits, lines
from singer_arrow.exits import Exit
from singer_arrow.start import importing
from target_parquet import settings as settings_of

TARGET = "LAKEHOUSE_TARGET"  # where Delta is, as configured; a load belongs to it
log = logging.getLogger(settings_of.PROGRAM)


def main() -> None:
    """Runs the target, at once where it is called as Meltano calls it, or answers `--check` without what reading needs."""
    arguments = sys.argv[1:]
    if check.asked(arguments):
        sys.exit(check.answer(settings_of.Settings))
    if arguments[:1] == ["--config"] and len(arguments) == 2:
        with importing():
            from target_parquet import run
        _stage(Path(arguments[1]))
        return
    with importing():
        import click

        from singer_arrow.settings import json_schema
        from target_parquet import run  # noqa: F401  (imported here, used in _run)

    @click.command()
    @click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings as a JSON file.")
    @click.option("--about", is_flag=True, help="Prints the settings as JSON Schema and exits.")
    @click.option("--check", is_flag=True, help="Checks the settings on standard input, as JSON, and exits; to be given alone.")
    @click.version_option(package_name=settings_of.PROGRAM)
    def command(config: Path | None, about: bool, check: bool) -> None:
        """Reads Singer messages, stages Parquet parts and one manifest per load."""
        if about:
            click.echo(json.dumps(json_schema(settings_of.Settings), indent=2))
        elif check:
            raise click.UsageError("--check is given alone")
        else:
            _stage(config)

    command(prog_name=settings_of.PROGRAM)


def _stage(config: Path | None) -> None:
    from singer_arrow.errors import ArrowSingerError, SettingsRefused
    from target_parquet.errors import TargetError

    exits.on_sigterm(settings_of.PROGRAM)
    exits.note_beginning(settings_of.PROGRAM)
    try:
        _run(settings_of.read(config))
        exits.done(settings_of.PROGRAM)
    except SettingsRefused as error:
        _fail(error, Exit.CONFIGURATION)
    except (TargetError, ArrowSingerError) as error:
        _fail(error, Exit.EXTRACT)
    except OSError as error:
        what = f"{error.strerror or error}: {error.filename or ''}"
        failure = TargetError(what, action="solve the problem with this file or folder, and run again")
        _fail(failure.keeping("Nothing half-written is visible to later steps"), Exit.EXTRACT)


def _run(settings: settings_of.Settings) -> None:
    from target_parquet.output_folder import OutputFolder
    from target_parquet.run import Run

    lines.log("extract", settings.logging_level)
    target = os.environ.get(TARGET, "")
    output = OutputFolder(settings.destination_path, settings.source_name, target if target.strip() else None)
    with output.locked():
        left = output.sweep()
        if left:
            log.info("removed %d files left by an interrupted run", len(left))
        Run(settings, output, sys.stdout).consume(sys.stdin.buffer)  # type: ignore[arg-type]  # it has read1, as BufferedReader


def _fail(error: object, code: Exit) -> None:
    exits.leave(settings_of.PROGRAM, error, code)
