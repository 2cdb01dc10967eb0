"""What the trials have in common: a place to make tables in, the tap to read them, and a line for each outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from singer_arrow.findings import Finding
from tap_mssql.accept.place import Place
from tap_mssql.accept.reading import Reading
from tap_mssql.server.diagnosis import driver_text
from tap_mssql.server.retry import DRIVER_ERRORS

REPORT = "report this, with the server's version, which the first lines tell"


class Trial(Struct, frozen=True):
    """What a trial is given."""

    place: Place
    reading: Reading


Outcomes = Iterator[Finding]
Kind = Callable[[Trial], Outcomes]


def passed(name: str, text: str) -> Finding:
    """A line about what is as it should be."""
    return Finding(name, "ok", text)


def failed(name: str, text: str) -> Finding:
    """A line about what is not."""
    return Finding(name, "failed", text, REPORT)


def absent(name: str, why: str, fix: str = "") -> Finding:
    """A line about what cannot be tried on this server."""
    return Finding(name, "not available", why, fix)


def told(name: str, wrong: str, right: str) -> Finding:
    """Failed with what is wrong, or passed where nothing is."""
    return failed(name, wrong) if wrong else passed(name, right)


def lacking(name: str, trial: Trial, *statements: str) -> Finding | None:
    """A line that says what the server has no words for; None where it takes the statements."""
    try:
        trial.place.does(*statements)
    except DRIVER_ERRORS as error:
        return absent(name, driver_text(error))
    return None
