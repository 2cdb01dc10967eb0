"""`lakehouse lease --place PLACE`."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import uuid
from datetime import UTC, datetime

import click

from lakehouse.settings import load_settings
from lakehouse.stages import open_stage
from lakehouse.steps.run_lease import Holder, RunLease
from lakehouse.terminal import say


@click.command("lease")
@click.option("--place", required=True, help="An id of the folder whose lock the caller holds.")
def command(place: str) -> None:
    """Hold the target against other runs until standard input ends. Says `held` then; exit code 7 where one is at work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # what ends the run ends standard input
    settings = load_settings(os.environ)
    mine = Holder(str(uuid.uuid4()), place, socket.gethostname(), os.getppid(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    lease = RunLease(open_stage(settings), settings.target, mine, settings.run_lease_seconds, _has_ended)
    if lease.take(say):
        print("held", flush=True)
        lease.keep(lambda line: say(line, level="warning"))


def _has_ended(seconds: float) -> bool:
    """Waits; whether standard input has ended meanwhile, to which nothing is ever written."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])
