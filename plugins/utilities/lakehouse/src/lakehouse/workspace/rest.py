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

from lakehouse.errors import AccessDenied, LakehouseError, PermissionMissing, WorkspaceError
from lakehouse.settings import Settings
from lakehouse.workspace import answers, permissions
from lakehouse.workspace.bodies import FileBody, form
from lakehouse.workspace.identity import identity_of
from singer_arrow import noted

TIMEOUTS_S = (10.0, 120.0)  # to connect, and between two bytes
HURRIED_S = (2.0, 4.0)  # the same for a call that must not wait
ATTEMPTS = 6
TRANSIENT = (0, 429, 500, 502, 503, 504)  # statuses that may be gone in a moment; 0: no answer at all


class Workspace:
    """Calls below `/api`. Every call is safe to repeat: submissions carry an idempotency token."""

    def __init__(self, settings: Settings) -> None:
        self.identity = identity_of(settings)
        self._settings = settings
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "lakehouse/0.1.0"
        backoff = wait_exponential_jitter(multiplier=0.25, exp_base=3, jitter=0.25, max=20)  # half a minute in all

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
        return self._retrying(self._json, "GET", path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST of JSON; the JSON answer."""
        return self._retrying(self._json, "POST", path, json=body)

    def post_now(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST of JSON, once and with little patience: for what is said while the program ends."""
        return self._json("POST", path, json=body, timeout=HURRIED_S)

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

    def upload(self, path: str, data: bytes | FileBody, overwrite: bool = True) -> None:
        """PUT of a file's bytes, over one that is there unless `overwrite` is False."""
        self._retrying(self._call, "PUT", path, data=data, params={"overwrite": str(overwrite).lower()})

    def delete(self, path: str) -> None:
        """DELETE of a file or an empty folder."""
        self._retrying(self._call, "DELETE", path)

    def needed(self, method: str, path: str) -> str:
        """What this identity lacks where such a request is refused, and how to grant it."""
        return permissions.needed(method, path, self._settings, self._me())

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = self._call(method, path, **more)
        try:
            return dict(answer.json())
        except ValueError:
            raise answers.broken(f"{method} {self.identity.host}{path}") from None

    def _call(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self._send(method, path, **more)
        if answers.is_bad_token(answer) and self.identity.renew():
            answer = self._send(method, path, **more)
        if answer.ok:
            return answer
        host, what = self.identity.host, f"{method} {self.identity.host}{path}"
        code, message = answers.code_and_message(answer)
        if answers.is_bad_token(answer):
            action = f"check {self.identity.settled_by}: it may be mistyped or expired"
            raise AccessDenied(host, answer.status_code, message, action)
        if answer.status_code == 403:
            raise PermissionMissing(what, code, message, self.needed(method, path))
        raise answers.failure(what, answer)

    def _send(self, method: str, path: str, timeout: tuple[float, float] = TIMEOUTS_S, **more: Any) -> requests.Response:
        headers = self.identity.headers()

        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers.update(headers)  # here, so that a ~/.netrc is never asked
            return request

        url = f"{self.identity.host}/api{path}"
        asked = {"http.request.method": method, "url.template": self.identity.host + "/api" + "/".join(path.split("/")[:4])}
        try:
            with noted.span("request", **asked) as told:
                answer = self._session.request(method, url, timeout=timeout, auth=sign, **more)
                told["http.response.status_code"] = answer.status_code
            return answer
        except requests.RequestException as error:
            raise answers.no_answer(f"{method} {self.identity.host}{path}", error) from None

    def _me(self) -> str:
        """The name that GRANT takes for this identity: a user's e-mail address, a service principal's application ID."""
        try:
            return str(self._send("GET", "/2.0/preview/scim/v2/Me", timeout=HURRIED_S).json()["userName"])
        except (LakehouseError, ValueError, KeyError, TypeError):
            return permissions.SOMEBODY
