"""`lakehouse accept [--json]`."""

from __future__ import annotations

import os

import click

from lakehouse.settings import load_settings
from lakehouse.steps.accept import Acceptance
from lakehouse.terminal import say
from singer_arrow import findings


@click.command("accept")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a list of objects.")
def command(as_json: bool) -> None:
    """Try this workspace: a tiny load of each mode, uploaded, converted, verified and removed. Exit code 3 if one failed."""
    raise SystemExit(findings.tell(list(Acceptance(load_settings(os.environ), say).findings()), as_json))
