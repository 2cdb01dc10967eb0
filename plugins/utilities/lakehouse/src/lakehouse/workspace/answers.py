"""What an HTTP answer of the workspace means. Pure functions over answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from lakehouse.errors import WorkspaceError

LONGEST_WAIT_S = 300.0  # whatever a workspace asks for


def code_and_message(answer: requests.Response) -> tuple[str, str]:
    """Error code and message in the workspace's words; of an answer that is no JSON, as a proxy gives it, its beginning."""
    try:
        told = answer.json()
        code = told.get("error_code") or told.get("error") or answer.status_code
        return str(code), str(told.get("message") or told.get("error_description") or answer.reason)
    except (ValueError, AttributeError):
        return answer.reason, answer.text[:200]


def is_bad_token(answer: requests.Response) -> bool:
    """Whether the token itself was refused, not what its owner may do: 401, or 403 in the words for an unknown token."""
    if answer.status_code == 401:
        return True
    return answer.status_code == 403 and "access token" in code_and_message(answer)[1].lower()


def failure(what: str, answer: requests.Response) -> WorkspaceError:
    """The error of an answer that is none of permissions."""
    code, message = code_and_message(answer)
    wait = retry_after_s(answer.headers) if answer.status_code in (429, 503) else 0.0
    return WorkspaceError(what, answer.status_code, code, message, wait)


def no_answer(what: str, error: requests.RequestException) -> WorkspaceError:
    """The error of a request that got no answer, or not all of one."""
    inner = error.args[0] if error.args else error
    reason = str(getattr(inner, "reason", inner)).rsplit(": ", 1)[-1][:200] or type(error).__name__
    action = "check DATABRICKS_HOST and the network, and run again"
    return WorkspaceError(what, 0, "NO_ANSWER", f"no answer ({reason})", action=action)


def broken(what: str) -> WorkspaceError:
    """The error of an answer that is not the JSON it should be."""
    action = "run again; if it stays so, look for a proxy between here and the workspace"
    return WorkspaceError(what, 0, "BROKEN_ANSWER", "the answer broke off", action=action)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Seconds that Retry-After (RFC 9110, 10.2.3: seconds or an HTTP date) asks to wait; 0 without it.

    A date counts from the answer's own Date, so that a wrong clock here does not matter; `now` stands in where it has none.
    """
    asked = headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return min(float(asked), LONGEST_WAIT_S)
    until = _date(asked)
    if until is None:
        return 0.0
    since = _date(headers.get("Date", "")) or now or datetime.now(UTC)
    return min(max((until - since).total_seconds(), 0.0), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
