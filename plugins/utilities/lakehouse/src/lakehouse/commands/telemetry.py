"""`lakehouse telemetry`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from lakehouse.loads import read_local
from lakehouse.settings import Settings, load_settings
from lakehouse.telemetry.facts import RunFacts, run_loads, seconds_of
from lakehouse.telemetry.wanted import Wanted, wanted
from lakehouse.terminal import say
from singer_arrow import masks
from singer_arrow.exits import Exit
from singer_arrow.start import importing

LIMIT_S = 30.0  # for all that is sent
HURRIED_S = 3.0  # the same where the run was stopped, since whoever stopped it waits ten seconds
SERVICE = "lighthouse-ingestion-pipeline"


class _TimeIsUp(BaseException):
    """No exception that a client could catch."""


@click.command("telemetry")
@click.option("--code", type=int, required=True, help="Exit code of the run.")
@click.option("--notes", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run's notes.")
def command(code: int, notes: Path) -> None:
    """Tell the collectors that OTEL_… and OPENLINEAGE_… name what a run did. Ends with 0 also where one could not be reached."""
    asked = wanted(os.environ)
    for problem in asked.problems:
        say(problem, level="warning")
    if asked.traces or asked.metrics or asked.lineage:
        settings = load_settings(os.environ)
        try:
            facts = _facts(code, notes, settings)
        except (OSError, ValueError) as error:
            say(f"nothing was sent to collectors, since what the run noted cannot be read: {error}", level="warning")
            return
        _send(asked, facts, settings, HURRIED_S if code in (Exit.INTERRUPTED, Exit.TERMINATED) else LIMIT_S)


def _facts(code: int, notes: Path, settings: Settings) -> RunFacts:
    from lakehouse.run_report.document import steps_of
    from lakehouse.steps import alert
    from lakehouse.steps.run_report import STEPS, UNREAD

    now = datetime.now(UTC)
    steps = steps_of((notes / STEPS).read_text().splitlines() if (notes / STEPS).exists() else [], now)
    run_id = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())
    noted = notes / "noted"
    loads, without_load = run_loads(run_id, read_local(settings.output).loads, noted)
    failures = [masks.of_run().hidden(line) for line in alert.said([notes / UNREAD, notes / "said"])] if code else []
    began = seconds_of(steps[0].started_at) if steps else now.timestamp()
    return RunFacts(run_id, settings.target, code, began, now.timestamp(), steps, loads, failures, noted, without_load)


def _send(asked: Wanted, facts: RunFacts, settings: Settings, limit_s: float) -> None:
    """One after the other, all within the limit; a line for each collector that did not take something."""
    with importing():
        ways = list(_ways(asked, facts, settings))
    began, failed = time.monotonic(), dict[str, tuple[str, str]]()  # what clients take to be imported does not count
    signal.signal(signal.SIGALRM, _time_is_up)
    for number, (what, variable, send) in enumerate(ways, 1):  # none takes all of the time
        if variable in failed:  # who did not take the first will not take the second
            failed[variable] = f"{failed[variable][0]} and {what}", failed[variable][1]
        elif wrong := _tried(send, began + limit_s * number / len(ways)):
            failed[variable] = what, wrong
    for variable, (what, wrong) in failed.items():
        say(f"{what} were not all sent: {wrong}. Look at {variable}; the run is what it is without them", level="warning")
    sys.stdout.flush()
    os._exit(0)  # without waiting for what a client still has under way


def _tried(send: Callable[[], None], due: float) -> str:
    """What went wrong; empty for nothing. No exception gets out: whatever happens here is no failure of the run."""
    said = _Said()
    for name in ("opentelemetry", "openlineage"):
        logging.getLogger(name).handlers[:], logging.getLogger(name).propagate = [said], False
    try:
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.001))
        send()
        return ""
    except _TimeIsUp:
        return "the collector took too long"
    except Exception as error:
        return masks.of_run().hidden(said.last or f"{type(error).__name__}: {error}").rstrip(".")[:500]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _time_is_up(signum: int, frame: object) -> NoReturn:
    raise _TimeIsUp


class _Said(logging.Handler):
    """Keeps what a client said last: OpenTelemetry's say only there why something was not taken."""

    last = ""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record."""
        self.last = record.getMessage()


def _ways(asked: Wanted, facts: RunFacts, settings: Settings) -> Iterator[tuple[str, str, Callable[[], None]]]:
    """What is to be sent, the variable that asks for it, and what sends it; what is most comes last."""
    if asked.metrics:
        from lakehouse.telemetry import metrics

        yield "metrics", asked.metrics, lambda: metrics.send(facts, _resource())
    if asked.lineage:
        from lakehouse.telemetry import lineage

        yield "lineage events", asked.lineage, lambda: lineage.send(facts, os.environ, settings.host, settings.stage)
    if asked.traces:
        from lakehouse.telemetry import traces

        yield "traces", asked.traces, lambda: traces.send(facts, _resource(), os.environ)


def _resource() -> Any:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, with a service name where neither has one."""
    from opentelemetry.sdk.resources import Resource

    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": SERVICE})
