"""GET with patience: tries again what may pass, says at once what will not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
import tenacity

from tap_rest_api_msdk.errors import AnswerRefused, ApiUnavailable, CredentialsRefused
from tap_rest_api_msdk.retry import Patience, backoff, told_to_wait

_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Failure:
    """Why a try failed, and how many seconds the server asks for (None when it does not say)."""

    reason: str
    wait: float | None = None
    throttled: bool = False


@dataclass
class ApiClient:
    """One HTTP session; `stop` ends a wait between two tries, so that a failing run ends at once."""

    headers: Mapping[str, str]
    timeout: float
    patience: Patience
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._session = requests.Session()
        self._session.headers.update(self.headers)
        self._session.auth = _as_it_is

    def get(self, url: str, params: Mapping[str, Any], headers: Mapping[str, str], what: str) -> bytes:
        """The body of a 2xx answer. `what` names stream and offset in errors; query parameters never appear there.

        Raises CredentialsRefused, ApiUnavailable or AnswerRefused.
        """
        began = math.inf  # the first failure
        last = _Failure("no answer")

        def wait(state: tenacity.RetryCallState) -> float:
            if last.wait is None:
                return backoff(state.attempt_number)
            return last.wait + self.patience.extension + backoff(1)

        def spent(state: tenacity.RetryCallState) -> bool:
            return time.monotonic() - began + state.upcoming_sleep > self._limit(last)

        def pause(seconds: float) -> None:
            if self.stop.wait(seconds):
                raise self._unavailable(f"{what}: {url}", last, attempts, began)

        def answer() -> bytes | None:
            nonlocal began, last
            result = self._try(url, params, headers, what)
            if isinstance(result, bytes):
                return result
            began, last = min(began, time.monotonic()), result
            return None

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda body: body is None),
            wait=wait,
            stop=spent,
            sleep=pause,
            retry_error_callback=lambda state: None,
        )
        body = attempts(answer)
        if body is None:
            raise self._unavailable(f"{what}: {url}", last, attempts, began)
        return body

    def _limit(self, failure: _Failure) -> float:
        return self.patience.throttling if failure.throttled else self.patience.failures

    def _unavailable(self, where: str, failure: _Failure, attempts: tenacity.Retrying, began: float) -> ApiUnavailable:
        tries = int(attempts.statistics.get("attempt_number", 1))
        asked = f", and asks to wait {failure.wait:.0f} s" if failure.wait else ""
        seconds = time.monotonic() - began
        often = f"{tries} {'try' if tries == 1 else 'tries'} in {seconds:.1f} s of at most {self._limit(failure):g} s"
        return ApiUnavailable(f"{where}: {failure.reason}{asked} ({often})")

    def _try(self, url: str, params: Mapping[str, Any], headers: Mapping[str, str], what: str) -> bytes | _Failure:
        try:
            answer = self._session.get(url, params=params, headers=headers, timeout=(min(10.0, self.timeout), self.timeout))
        except requests.exceptions.SSLError as error:
            raise ApiUnavailable(f"{what}: {url}: TLS failed: {_root(error)}") from error
        except requests.Timeout:
            return _Failure(f"no answer within {self.timeout:g} s")
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            return _Failure(f"no connection, or one that broke: {_root(error)}")
        except requests.RequestException as error:
            raise AnswerRefused(f"{what}: {url}: {type(error).__name__}") from error
        status = answer.status_code
        if 200 <= status < 300:
            return answer.content
        if status in (401, 403):
            raise CredentialsRefused(f"{what}: the API refused the credentials ({status}) for {url}")
        if status in _MAY_PASS:
            wait = told_to_wait(answer.headers.get(self.patience.header))
            return _Failure(f"the API answered {status} {answer.reason}", wait, status == 429 or wait is not None)
        raise AnswerRefused(f"{what}: {url}: the API answered {status} {answer.reason}")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leaves the headers alone; without it, requests would look for a login in ~/.netrc."""
    return request


def _root(error: BaseException) -> str:
    """The innermost cause's own words, which never hold query parameters."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if inner is None or not isinstance(inner, BaseException):
            break
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__
