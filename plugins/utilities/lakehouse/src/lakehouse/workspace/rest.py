"""The workspace's REST API over one HTTP session: retries what may pass, and tells errors in the workspace's words.

Over requests, not the client of databricks-sdk: importing any part of `databricks.sdk` (0.162) takes 2.4 CPU seconds, importing
requests 0.2, and a run of the pipeline starts seven of these commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from lakehouse.errors import AccessDenied, WorkspaceError
from lakehouse.settings import Settings
from lakehouse.workspace.bodies import FileBody, form

TIMEOUTS_S = (10, 120)  # to connect, and between two bytes
ATTEMPTS = 6
TRANSIENT = (0, 429, 500, 502, 503, 504)  # statuses that may be gone in a moment; 0: no answer at all


class Workspace:
    """Calls below `/api`. Every call is safe to repeat: submissions carry an idempotency token."""

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "lakehouse/0.1.0"
        self._session.auth = _Bearer(settings.token.reveal())
        backoff = wait_exponential_jitter(initial=0.5, max=20)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), getattr(error, "retry_after_s", 0.0))

        self._retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, WorkspaceError) and error.status in TRANSIENT),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait,
            reraise=True,
        )

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        """GET with a query; the JSON answer."""
        return dict(self._retrying(self._call, "GET", path, params=query).json())

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST of JSON; the JSON answer."""
        return dict(self._retrying(self._call, "POST", path, json=body).json())

    def post_file(self, path: str, fields: Mapping[str, str], data: bytes) -> None:
        """A multipart form with one `file`: the way into DBFS without a limit of 1 MB."""
        self._retrying(self._call, "POST", path, data=dict(fields), files={"file": ("file", data)})

    def post_large_file(self, path: str, fields: Mapping[str, str], file: Path) -> None:
        """The same form of a file that is not read into memory whole."""
        body, kind = form(fields, file)
        self._retrying(self._call, "POST", path, data=body, headers={"Content-Type": kind})

    def download(self, path: str) -> bytes:
        """GET of a file's bytes."""
        return self._retrying(self._call, "GET", path).content

    def upload(self, path: str, data: bytes | FileBody) -> None:
        """PUT of a file's bytes, over one that is there."""
        self._retrying(self._call, "PUT", path, data=data, params={"overwrite": "true"})

    def delete(self, path: str) -> None:
        """DELETE of a file or an empty folder."""
        self._retrying(self._call, "DELETE", path)

    def _call(self, method: str, path: str, **more: Any) -> requests.Response:
        what = f"{method} {self._host}{path}"
        try:
            answer = self._session.request(method, f"{self._host}/api{path}", timeout=TIMEOUTS_S, **more)
        except requests.RequestException as error:
            raise WorkspaceError(
                what,
                0,
                "NO_ANSWER",
                f"no answer ({_reason(error)})",
                action="check DATABRICKS_HOST and the network, and run again",
            ) from None
        if answer.ok:
            return answer
        try:
            told = answer.json()
            code, message = str(told.get("error_code", answer.status_code)), str(told.get("message", answer.reason))
        except ValueError:
            code, message = answer.reason, answer.text[:200]
        if answer.status_code in (401, 403):
            raise AccessDenied(self._host, answer.status_code, message)
        after = answer.headers.get("Retry-After", "")
        raise WorkspaceError(what, answer.status_code, code, message, min(float(after), 60.0) if after.isdigit() else 0.0)


class _Bearer(requests.auth.AuthBase):
    """Sets the token itself, so that a ~/.netrc is never asked."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _reason(error: requests.RequestException) -> str:
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", inner)
    return str(reason).rsplit(": ", 1)[-1][:200] or type(error).__name__
