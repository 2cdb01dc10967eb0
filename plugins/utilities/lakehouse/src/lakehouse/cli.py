"""`lakehouse COMMAND`: settings come from the environment alone; a failure is a message and an exit code, never a traceback.

Exit codes: 0 done, 2 configuration or usage, 3 doctor or accept, 4 upload, 5 convert, 6 verify, 7 another
run or job is at work, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from lakehouse import settings
from lakehouse.commands import CODES
from lakehouse.errors import LakehouseError
from singer_arrow import check, exits
from singer_arrow.errors import SettingsRefused
from singer_arrow.exits import Exit


class Commands(click.Group):
    """Imports a command when it is asked for, and turns every failure a person can cause or meet into an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of a run."""
        return list(CODES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name, from the module of the same name."""
        if name not in CODES:
            return None
        command: click.Command = import_module(f"lakehouse.commands.{name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; a failure ends the process with its exit code."""
        try:
            return super().invoke(ctx)
        except SettingsRefused as error:
            exits.leave(settings.PROGRAM, error, Exit.CONFIGURATION)
        except LakehouseError as error:
            exits.leave(settings.PROGRAM, error, error.exit_code or CODES[ctx.invoked_subcommand or "convert"])
        except KeyboardInterrupt:
            exits.leave(
                settings.PROGRAM, "interrupted; Delta holds whole loads only, and running again is safe.", Exit.INTERRUPTED
            )


@click.group(cls=Commands)
def commands() -> None:
    """Staged Parquet parts to Databricks, and from there to Delta tables."""


def main() -> None:
    """Answers `--check`, else runs a command."""
    if check.asked(sys.argv[1:]):
        sys.exit(check.answer(settings.Settings, only_known=True))
    exits.on_sigterm(settings.PROGRAM)
    commands()


if __name__ == "__main__":
    main()
