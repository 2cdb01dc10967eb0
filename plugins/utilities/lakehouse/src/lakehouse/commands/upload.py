"""`lakehouse upload`."""

from __future__ import annotations

import os
import time

import click

from lakehouse.loads import read_local
from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.upload import upload
from lakehouse.terminal import FINISH, say, waiting
from singer_arrow import lines


@click.command("upload")
def command() -> None:
    """Send the parts and manifests that the stage lacks or holds otherwise, manifests last."""
    settings = load_settings(os.environ)
    loads, passed_over = read_local(settings.output)
    for each in passed_over:
        say(each.line)
    if not loads:
        if lines.step() != FINISH:
            say(f"no manifests below {settings.output}: nothing to send")
        return
    began = time.monotonic()
    with waiting(f"sending what is not on {settings.stage}"):
        sent = upload(open_stage(settings), settings.output, loads, settings.target, say)
    seconds = time.monotonic() - began
    figures = {"files": sent.files, "bytes": sent.bytes, "there": sent.there, "seconds": round(seconds, 3)}
    text = f"{sent.files} files sent ({sent.bytes:,} bytes), {sent.there} were on {settings.stage}; {seconds:.1f} s"
    if sent.files or lines.step() != FINISH:
        say(text, figures=figures)
