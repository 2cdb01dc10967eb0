"""The command line: errors for people instead of tracebacks, and a short way for what Meltano runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from singer_arrow import batch, exits, lines
from singer_arrow.errors import ArrowSingerError, SelectionRefused, SettingsRefused
from singer_arrow.exits import Exit
from singer_arrow.start import importing
from tap_rest_api_msdk.errors import TapError
from tap_rest_api_msdk.settings import PROGRAM

DOCTOR, PLAN = "--doctor", "--plan"


def main(command: batch.Command | None, arguments: Sequence[str] = ()) -> None:
    """Runs the tap, its doctor or its plan; what is not a run with BATCH output is the SDK's.

    Exit code 2 for a refused configuration, 3 for any other error, with one message on standard error.
    """
    exits.on_signals(PROGRAM)
    try:
        if DOCTOR in arguments:
            _doctor(arguments)
        elif PLAN in arguments:
            _plan(arguments)
        elif command is None:
            _of_the_sdk()
        else:
            _run(command)
    except (SettingsRefused, SelectionRefused) as error:
        exits.leave(PROGRAM, error, Exit.CONFIGURATION)
    except (TapError, ArrowSingerError) as error:
        exits.leave(PROGRAM, error, Exit.EXTRACT)
    except BrokenPipeError:
        # The reader is gone, and says itself why; nothing may be written to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exits.leave(PROGRAM, "the program that read this tap's output has gone", Exit.EXTRACT)


def _run(command: batch.Command) -> None:
    from singer_arrow.process import tame_memory
    from tap_rest_api_msdk import batch_output, config

    tame_memory(1 << 19)  # the text of a page is a block
    lines.log("extract")
    parsed = config.parse(command.config)
    if command.discover:
        batch.write(batch_output.discover(parsed))
    else:
        batch_output.sync(parsed, command.config["batch_config"], command.catalog, command.state, batch.write)
    exits.done(PROGRAM)


def _doctor(arguments: Sequence[str]) -> None:
    from tap_rest_api_msdk import doctor

    sys.exit(doctor.main(arguments))


def _plan(arguments: Sequence[str]) -> None:
    from tap_rest_api_msdk import plan

    sys.exit(plan.main(arguments))


def _of_the_sdk() -> None:
    with importing():
        from tap_rest_api_msdk.tap import TapRestApi

    _quiet()
    TapRestApi.cli()


def _quiet() -> None:
    """Leaves one line per finished stream, unless a log level is asked for."""
    if not (os.environ.get("TAP_REST_API_MSDK_LOGLEVEL") or os.environ.get("LOGLEVEL")):
        logging.getLogger(PROGRAM).setLevel(logging.WARNING)
        logging.getLogger("singer_sdk.metrics").addFilter(lambda record: record.levelno >= logging.WARNING)
