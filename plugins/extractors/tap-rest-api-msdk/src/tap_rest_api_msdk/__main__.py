"""Starts the tap: without garbage collection while importing, for nothing that imports leave is garbage (0.4 CPU s)."""

from __future__ import annotations

import gc


def main() -> None:
    """Imports the command line and runs it."""
    gc.disable()
    from tap_rest_api_msdk import cli

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
