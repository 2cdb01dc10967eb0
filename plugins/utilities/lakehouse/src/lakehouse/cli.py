"""`lakehouse`: upload, convert, verify, bookmarks, report, prune. Settings come from the environment alone.

Exit codes: 0 done, 2 configuration or usage, 4 upload, 5 convert, 6 verify, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import ClassVar, NoReturn

import click

from lakehouse import settings as _settings
from lakehouse.errors import AccessDenied, LakehouseError, WorkspaceError
from singer_arrow import check, exits
from singer_arrow.errors import SettingsRefused
from singer_arrow.exits import Exit


def say(line: str) -> None:
    """Progress, on standard error: standard output is for results."""
    click.echo(f"lakehouse: {line}", err=True)


def fail(message: object, code: int) -> NoReturn:
    """Says what went wrong and ends with the step's exit code."""
    say(str(message))
    sys.exit(code)


class Commands(click.Group):
    """Turns every failure a person can cause or meet into a message and an exit code."""

    codes: ClassVar[dict[str, int]] = {"upload": 4, "verify": 6, "report": 6}

    def invoke(self, ctx: click.Context) -> object:
        """Runs a command; a failure ends the process with its exit code, never with a traceback."""
        try:
            return super().invoke(ctx)
        except (SettingsRefused, AccessDenied) as error:
            fail(error, Exit.CONFIGURATION)
        except WorkspaceError as error:
            fail(error, self.codes.get(ctx.invoked_subcommand or "", 5))
        except LakehouseError as error:
            fail(error, error.exit_code)
        except KeyboardInterrupt:
            fail("interrupted; running again is safe.", Exit.INTERRUPTED)


def main() -> None:
    """Answers `--check`, else runs a command."""
    if check.asked(sys.argv[1:]):
        sys.exit(check.answer(_settings.Settings, only_known=True))
    exits.on_sigterm(_settings.PROGRAM)
    commands()


@click.group(cls=Commands)
def commands() -> None:
    """Staged Parquet parts to Databricks, and from there to Delta tables."""


def _open() -> _settings.Settings:
    return _settings.load_settings(os.environ)


@commands.command()
def upload() -> None:
    """Send the parts and manifests that the stage lacks, manifests last."""
    from lakehouse.manifest import read_local
    from lakehouse.stage import open_stage
    from lakehouse.upload import upload as send

    settings = _open()
    loads = read_local(settings.output)
    if not loads:
        say(f"no manifests below {settings.output}: nothing to send")
        return
    sent = send(open_stage(settings), settings.output, loads, say)
    say(f"{sent.files} files sent ({sent.bytes:,} bytes), {sent.there} were on {settings.stage}")


@commands.command()
def convert() -> None:
    """Run the job that applies staged loads to Delta, checks them, and writes the ledger."""
    from lakehouse.convert import convert as run
    from lakehouse.manifest import read_local
    from lakehouse.stage import open_stage
    from lakehouse.verify import refuse_failures, show_results

    settings = _open()
    results = run(open_stage(settings), settings, read_local(settings.output), say)
    if not results:
        say("nothing to convert: every staged load is in Delta")
        return
    show_results("Converted", results)
    refuse_failures(results)


@commands.command()
@click.option("--again", is_flag=True, help="Recompute the figures in Delta with a job that writes no data.")
def verify(again: bool) -> None:
    """Show source, Parquet and Delta rows per load, and whether all figures are equal."""
    from lakehouse.convert import check_again
    from lakehouse.manifest import read_local
    from lakehouse.published import newest
    from lakehouse.stage import open_stage
    from lakehouse.verify import of_this_run, refuse_failures, show_results

    settings = _open()
    stage, local = open_stage(settings), read_local(settings.output)
    known = None if again else newest(stage, settings.target)
    results = check_again(stage, settings, local, say) if again else of_this_run(known, local)
    show_results("Verified again" if again else "Verified", results)
    refuse_failures(results, again)


@commands.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write <source>.json here, not to standard output.")
def bookmarks(out: Path | None) -> None:
    """Print the Singer state that Delta really holds, per source; {} when there is none."""
    from lakehouse.published import newest
    from lakehouse.stage import open_stage

    settings = _open()
    known = newest(open_stage(settings), settings.target)
    states = {source: {"bookmarks": streams} for source, streams in known.bookmarks.items()} if known else {}
    if out is None:
        click.echo(json.dumps(states, indent=1, sort_keys=True))
        return
    out.mkdir(parents=True, exist_ok=True)
    for source, state in states.items():
        hidden = out / f".{source}.json"
        hidden.write_text(json.dumps(state, sort_keys=True))
        hidden.replace(out / f"{source}.json")


@commands.command()
@click.option("--timings", type=click.Path(path_type=Path, dir_okay=False), help='Seconds per step: {"extract": 12.5}.')
def report(timings: Path | None) -> None:
    """Show what the run moved: rows, seconds and rows/s per stream. Exit code 6 when figures differ."""
    from lakehouse.manifest import read_local
    from lakehouse.published import newest
    from lakehouse.report import report as show
    from lakehouse.stage import open_stage
    from lakehouse.verify import of_this_run, refuse_failures

    settings = _open()
    local = read_local(settings.output)
    known = newest(open_stage(settings), settings.target)
    show(local, known, timings)
    refuse_failures(of_this_run(known, local))


@commands.command()
def prune() -> None:
    """Remove local parts and manifests that are in Delta, and leftovers."""
    from lakehouse.manifest import read_local
    from lakehouse.prune import prune as remove
    from lakehouse.published import newest
    from lakehouse.stage import open_stage

    settings = _open()
    known = newest(open_stage(settings), settings.target)
    gone = remove(settings.output, read_local(settings.output), set(known.committed) if known else set())
    say(f"{gone.loads} loads are in Delta and gone from here: {gone.files} files, {gone.bytes:,} bytes")


if __name__ == "__main__":
    main()
