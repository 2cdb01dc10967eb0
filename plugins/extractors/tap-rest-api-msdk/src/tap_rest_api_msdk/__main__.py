"""Starts the tap: imports what the command needs, and nothing for what it does not."""

from __future__ import annotations

import sys

from singer_arrow import batch, check
from singer_arrow.start import importing
from tap_rest_api_msdk.settings import Settings

_NESTED = 5_000  # levels of JSON, which msgspec and json count as Python does calls


def main() -> None:
    """Answers `--check`, else imports what the command line asks for and runs it."""
    if check.asked(sys.argv[1:]):
        sys.exit(check.answer(Settings))
    sys.setrecursionlimit(_NESTED)
    command = batch.command(sys.argv[1:])
    if command is not None:
        with importing():
            import tap_rest_api_msdk.batch_output  # noqa: F401  (imported here, used in cli)
    from tap_rest_api_msdk import cli

    cli.main(command, sys.argv[1:])


if __name__ == "__main__":
    main()
