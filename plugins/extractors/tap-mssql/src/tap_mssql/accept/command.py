"""`tap-mssql --config FILE --accept --yes [--json]`: what a user's own server passes, line by line; nothing is left there."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from singer_arrow import batch
from singer_arrow.errors import ArrowSingerError, SelectionRefused
from singer_arrow.findings import Finding, tell
from tap_mssql.accept.breaks import breaks, whole
from tap_mssql.accept.changes import changes, drift
from tap_mssql.accept.incremental import incremental
from tap_mssql.accept.keys import keys
from tap_mssql.accept.place import SCHEMA, Place
from tap_mssql.accept.reading import Reading, replaced
from tap_mssql.accept.trial import Kind, Trial, absent, failed
from tap_mssql.accept.types import types
from tap_mssql.config import settings as configuration
from tap_mssql.config.settings import Settings
from tap_mssql.doctor import report
from tap_mssql.errors import TapError
from tap_mssql.server.diagnosis import driver_text
from tap_mssql.server.retry import DRIVER_ERRORS

TRIALS: tuple[Kind, ...] = (types, keys, incremental, changes, drift, whole, breaks)
LEFT_OUT = "KILL, ALTER DATABASE (SNAPSHOT, Change Tracking), other logins and permissions, failover"


def main(arguments: Sequence[str]) -> int:
    """Runs it and prints the findings. Returns 0, or 3 when one failed. Raises SettingsRefused, SelectionRefused (no --yes)."""
    settings = configuration.parse(batch.given(arguments, "--config") or {})
    if "--yes" not in arguments:  # entrypoint.sh asks a person
        raise SelectionRefused(
            f"the trial in {settings.where} creates the schema {SCHEMA}, fills it, reads it, and drops it again, "
            "and it was not agreed to",
            safe="Nothing was done",
            action="add --yes to agree",
        )
    logging.getLogger("tap-mssql").setLevel(logging.ERROR)
    return tell(list(findings(settings)), "--json" in arguments)


def findings(settings: Settings, trials: Sequence[Kind] = TRIALS) -> Iterator[Finding]:
    """What stands in the way of a login; then a line for each trial; at the end what was removed."""
    found = [
        each for each in report.examine(settings) if each.name in ("network", "TLS", "login", "database", "versions", "isolation")
    ]
    yield from found
    if any(each.status == "failed" for each in found):
        return
    with closing(Place(replaced(settings, application_intent="ReadWrite"))) as place:
        made = place.make()
        yield made
        if made.status == "failed":
            return
        removed = None
        try:
            with tempfile.TemporaryDirectory(prefix="lighthouse-accept-") as folder:
                trial = Trial(place, Reading(settings, Path(folder)))
                for kind in trials:
                    yield from _outcomes(kind, trial)
        finally:
            removed = place.remove()
        yield absent("left out", LEFT_OUT)
        yield removed


def _outcomes(kind: Kind, trial: Trial) -> Iterator[Finding]:
    try:
        yield from kind(trial)
    except DRIVER_ERRORS as error:
        yield failed(kind.__name__, driver_text(error))
    except (TapError, ArrowSingerError) as error:
        yield failed(kind.__name__, str(error))
