"""Starts the tap: without garbage collection while importing, for nothing that imports leave is garbage (0.4 CPU s)."""

from __future__ import annotations

import gc
import sys

from singer_arrow import check
from tap_rest_api_msdk.settings import Settings


def main() -> None:
    """Answers `--check`, else imports the command line and runs it."""
    if check.asked(sys.argv[1:]):
        sys.exit(check.answer(Settings))
    gc.disable()
    from tap_rest_api_msdk import cli

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
