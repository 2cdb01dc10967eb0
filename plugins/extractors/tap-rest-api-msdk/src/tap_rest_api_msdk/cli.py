"""The command line: the SDK's, with errors for people instead of tracebacks."""

from __future__ import annotations

import logging
import os
import sys

from singer_arrow import exits
from singer_arrow.errors import ArrowSingerError, SettingsRefused
from singer_arrow.exits import Exit
from tap_rest_api_msdk.errors import TapError
from tap_rest_api_msdk.settings import PROGRAM
from tap_rest_api_msdk.tap import TapRestApi


def main() -> None:
    """Runs the tap. Exit code 2 for a refused configuration, 3 for any other error, with one message on standard error."""
    _quiet()
    try:
        TapRestApi.cli()
    except SettingsRefused as error:
        exits.leave(PROGRAM, error, Exit.CONFIGURATION)
    except (TapError, ArrowSingerError) as error:
        exits.leave(PROGRAM, error, Exit.EXTRACT)
    except BrokenPipeError:
        # The reader is gone, and says itself why; nothing may be written to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exits.leave(PROGRAM, "the program that read this tap's output has gone", Exit.EXTRACT)


def _quiet() -> None:
    """Leaves one line per finished stream, unless a log level is asked for."""
    if not (os.environ.get("TAP_REST_API_MSDK_LOGLEVEL") or os.environ.get("LOGLEVEL")):
        logging.getLogger(PROGRAM).setLevel(logging.WARNING)
        logging.getLogger("singer_sdk.metrics").addFilter(lambda record: record.levelno >= logging.WARNING)
