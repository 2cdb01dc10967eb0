"""Trying again what passes by itself: exponential waits with jitter, bounded in all by `retry_seconds`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import mssql_python

from tap_mssql.config.settings import Settings
from tap_mssql.errors import ReadFailed, TapError
from tap_mssql.server.diagnosis import Fault, diagnose, driver_text

if TYPE_CHECKING:
    import tenacity

log = logging.getLogger("tap-mssql")
DRIVER_ERRORS = (mssql_python.Error, RuntimeError)
FIRST_WAIT, LEAST_WAIT, LONGEST_WAIT = 0.5, 0.05, 30.0  # seconds


def retrying(
    settings: Settings,
    what: str,
    *,
    first: bool = False,
    failure: type[TapError] = ReadFailed,
    safe: str | None = None,
    stopping: threading.Event | None = None,
) -> Iterator[AbstractContextManager[object]]:
    """Attempts at one operation: `for attempt in retrying(settings, "stream a-b"): with attempt: …`.

    A driver's error that passes by itself is waited for, each time with one line in the log; the waits of one operation
    sum up to `retry_seconds` at most. A lasting one, and the last one of those that should have passed, becomes `failure`
    (a TapError: what, why, what is `safe`, what to do). Other errors pass through at once. `first`: see
    diagnosis.diagnose. `stopping`, once set, ends waits early and allows no further attempt.
    """
    attempt = _FirstAttempt()
    yield attempt
    if attempt.error is None:
        return
    attempts = _attempts(settings, what, first, stopping or threading.Event())
    try:
        for number, again in enumerate(attempts):
            if number:
                yield again
            else:
                with again:
                    raise attempt.error
    except DRIVER_ERRORS as error:
        tries = attempts.statistics.get("attempt_number", 1)
        fault = diagnose(error, azure=settings.azure, first=first)
        raise explained(failure, what, error, fault, tries, safe) from error


class _FirstAttempt:
    """Keeps a driver's error. What waits for a second attempt takes longer to import than most operations take to go well."""

    error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, DRIVER_ERRORS):
            self.error = error
        return self.error is not None


def _attempts(settings: Settings, what: str, first: bool, stopping: threading.Event) -> tenacity.Retrying:
    """The attempts that `retrying` describes."""
    import tenacity

    def fault(error: BaseException) -> Fault:
        return diagnose(error, azure=settings.azure, first=first)

    def passes(error: BaseException) -> bool:
        return isinstance(error, DRIVER_ERRORS) and fault(error).transient

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        pause = fault(error).pause if error else 0
        return pause + tenacity.wait_random_exponential(FIRST_WAIT, LONGEST_WAIT, min=LEAST_WAIT)(state)

    def spent(state: tenacity.RetryCallState) -> bool:
        return stopping.is_set() or state.idle_for + state.upcoming_sleep > settings.retry_seconds

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        why = f"{fault(error).what} ({driver_text(error)})" if error else ""
        log.warning("%s: %s; try %d in %.1f s", what, why, state.attempt_number + 1, state.upcoming_sleep)

    return tenacity.Retrying(
        sleep=tenacity.sleep_using_event(stopping),
        stop=spent,
        wait=wait,
        retry=tenacity.retry_if_exception(passes),
        before_sleep=tell,
        reraise=True,
    )


def explained(
    failure: type[TapError], what: str, error: BaseException, fault: Fault, tries: int = 1, safe: str | None = None
) -> TapError:
    """The error for people: what failed, why, how often it was tried, what is safe, what to do."""
    often = f" after {tries} tries (retry_seconds)" if fault.transient and tries > 1 else ""
    number = f"error {fault.number}: " if fault.number else ""
    return failure(f"{what}: {fault.what}{often}: {number}{driver_text(error)}", safe=safe, action=fault.advice)
