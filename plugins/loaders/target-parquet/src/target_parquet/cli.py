"""The command `target-parquet`: Singer messages on standard input, STATE on standard output."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path

from singer_arrow.start import importing

with importing():
    import click

    from singer_arrow.errors import ArrowSingerError
    from singer_arrow.settings import json_schema
    from target_parquet import settings as settings_of
    from target_parquet.errors import TargetError
    from target_parquet.run import Run
    from target_parquet.stage import Stage

log = logging.getLogger("target-parquet")


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings as a JSON file.")
@click.option("--about", is_flag=True, help="Prints the settings as JSON Schema and exits.")
@click.version_option(package_name="target-parquet")
def main(config: Path | None, about: bool) -> None:
    """Reads Singer messages, stages Parquet parts and one manifest per load."""
    if about:
        click.echo(json.dumps(json_schema(settings_of.Settings), indent=2))
        return
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        _run(settings_of.read(config))
    except (TargetError, ArrowSingerError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}: {error.filename or ''}; nothing half-written is visible; mend it and run again")


def _run(settings: settings_of.Settings) -> None:
    logging.basicConfig(stream=sys.stderr, level=settings.logging_level, format="%(levelname)s %(name)s %(message)s")
    stage = Stage(settings.destination_path, settings.source_name)
    with stage.locked():
        left = stage.sweep()
        if left:
            log.info("removed %d files that an interrupted run had left", len(left))
        Run(settings, stage, sys.stdout).consume(sys.stdin.buffer)


def _on_sigterm(signum: int, frame: object) -> None:
    raise SystemExit(130)


def _fail(text: str) -> None:
    log.error(text) if log.hasHandlers() else click.echo(text, err=True)
    sys.exit(1)
