"""The command line: the SDK's, with errors for people instead of tracebacks."""

from __future__ import annotations

import logging
import os
import sys

from singer_arrow.errors import ArrowSingerError
from tap_rest_api_msdk.errors import ConfigRefused, TapError
from tap_rest_api_msdk.tap import TapRestApi


def main() -> None:
    """Runs the tap. Exit code 2 for a refused configuration, 1 for any other error, with one message on stderr."""
    _quiet()
    try:
        TapRestApi.cli()
    except (TapError, ArrowSingerError) as error:
        _fail(str(error), 2 if isinstance(error, ConfigRefused) else 1)
    except BrokenPipeError:
        # the reader is gone, and says itself why; nothing may be written to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail("the reader of this tap's output has gone")


def _fail(message: str, code: int = 1) -> None:
    print(f"tap-rest-api-msdk: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def _quiet() -> None:
    """Leaves one line per finished stream, unless a log level is asked for."""
    if not (os.environ.get("TAP_REST_API_MSDK_LOGLEVEL") or os.environ.get("LOGLEVEL")):
        logging.getLogger("tap-rest-api-msdk").setLevel(logging.WARNING)
        logging.getLogger("singer_sdk.metrics").addFilter(lambda record: record.levelno >= logging.WARNING)
