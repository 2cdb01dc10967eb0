"""The command `tap-mssql`: errors as messages instead of tracebacks, and a short way for what Meltano runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from singer_arrow import check, exits
from singer_arrow.exits import Exit
from singer_arrow.start import importing
from tap_mssql.config.settings import PROGRAM, Settings

# What the SDK adds to BATCH output only where it is set; then it is the SDK's to do.
_OF_THE_SDK = ("stream_maps", "flattening_enabled")


def main() -> None:
    """Runs the tap; what a person can correct is one message. Exit code 2 for configuration, 3 for anything else."""
    arguments = sys.argv[1:]
    if check.asked(arguments):
        sys.exit(check.answer(Settings))
    files = _plain(arguments)
    with importing():
        from singer_arrow.errors import ArrowSingerError, SettingsRefused
        from singer_arrow.process import tame_memory
        from tap_mssql.errors import SelectionRefused, TapError

        if files is None:
            from tap_mssql.singer.tap import TapMssql
        else:
            import tap_mssql.singer.batch_output  # noqa: F401  (imported here, used in _sync)
    tame_memory()
    try:
        if files is None:
            TapMssql.cli()
        else:
            _sync(files)
    except (SettingsRefused, SelectionRefused) as error:
        exits.leave(PROGRAM, error, Exit.CONFIGURATION)
    except (TapError, ArrowSingerError) as error:
        exits.leave(PROGRAM, error, Exit.EXTRACT)
    except OSError as error:
        what = f"{error.filename or 'the disk'}: {error.strerror or error}"
        exits.leave(PROGRAM, TapError(what, action="solve the problem with this file or folder, and run again"), Exit.EXTRACT)


def _plain(arguments: list[str]) -> dict[str, Any] | None:
    """The files of `--config FILE [--catalog FILE] [--state FILE]` for BATCH output; None for anything else."""
    files: dict[str, Any] = {"--config": None, "--catalog": None, "--state": None}
    if len(arguments) % 2 or not set(arguments[::2]) <= files.keys() or "ENV" in arguments[1::2]:
        return None
    if "--config" not in arguments or len(set(arguments[::2])) < len(arguments) // 2:
        return None
    for name, path in zip(arguments[::2], arguments[1::2], strict=True):
        try:
            files[name] = json.loads(Path(path).read_text())
        except (OSError, ValueError):
            return None
    config = files["--config"]
    if not isinstance(config, dict) or not config.get("batch_config") or any(config.get(name) for name in _OF_THE_SDK):
        return None
    return files


def _sync(files: dict[str, Any]) -> None:
    import logging

    from tap_mssql.config import settings
    from tap_mssql.singer import batch_output
    from tap_mssql.singer.run import Run

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s | %(levelname)-8s | %(name)s | %(message)s")
    exits.on_sigterm(PROGRAM)

    def write(message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    config = files["--config"]
    run = Run(settings.parse(config), config["batch_config"])
    state = dict(files["--state"] or {})
    batch_output.sync(run, batch_output.choices(run, files["--catalog"]), state, write)
