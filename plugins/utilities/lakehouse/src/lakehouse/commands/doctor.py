"""`lakehouse doctor [--json]`."""

from __future__ import annotations

import os

import click

from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.examine import Examination
from lakehouse.workspace.jobs import Jobs
from lakehouse.workspace.rest import Workspace
from singer_arrow import findings


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a list of objects.")
def command(as_json: bool) -> None:
    """Check what upload and convert need of the workspace: login, stage, CLI, compute, target. Exit code 3 if one failed."""
    settings = load_settings(os.environ)
    workspace = Workspace(settings)
    examination = Examination(settings, workspace, open_stage(settings), Jobs(workspace, settings))
    raise SystemExit(findings.tell(list(examination.findings()), as_json))
