"""GET with patience: tries again what may pass, says at once what will not."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tap_rest_api_msdk.client import answers
from tap_rest_api_msdk.client.answers import Answer, Request
from tap_rest_api_msdk.client.login import Auth
from tap_rest_api_msdk.client.masks import Masks
from tap_rest_api_msdk.client.pace import Pace
from tap_rest_api_msdk.client.transport import Transport
from tap_rest_api_msdk.errors import AnswerRefused, ApiUnavailable, CredentialsRefused, NoAnswer, ToldError, TooLarge, Unreadable
from tap_rest_api_msdk.retry import Patience, backoff, in_message, rate_limit, told_to_wait

if TYPE_CHECKING:
    import tenacity

_MAY_PASS = frozenset({408, 425, 429, 500, 501, 502, 503, 504, *range(520, 530)})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_MOST_UNREADABLE = 3  # tries: an answer that is no JSON three times will be none the fourth time
_BEHIND = frozenset({204, 400, 404})  # how an API may say that there is no such page
_TELLS_QUERIES = "urllib3"  # its lines hold whole addresses
Read = TypeVar("Read")

logging.getLogger(_TELLS_QUERIES).setLevel(logging.WARNING)


class _Failure(Struct, frozen=True):
    """Why a try failed, and how many seconds the server asks for (None when it does not say)."""

    reason: str
    wait: float | None = None
    throttled: bool = False


class ApiClient(Struct, dict=True):
    """Asks the API at `base`; headers are those of every request, the login's come with `auth`.

    Credentials and headers of the settings go to the API's own host only, whatever redirects and links say. `stop` ends a wait
    between two tries, so that a failing run ends at once.
    """

    base: str
    headers: Mapping[str, str]
    auth: Auth
    transport: Transport
    patience: Patience
    masks: Masks
    per_second: float = 0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self._next = 0.0
        self._pace = threading.Lock()
        self._answered = -math.inf  # when an answer was last read, of any request

    def place_of(self, path: str) -> tuple[str, str]:
        """Scheme and host, and the whole path, of what is asked for at a stream's `path`; no credentials, no query."""
        whole = answers.without_query(f"{self.base.rstrip('/')}/{path.lstrip('/')}")
        scheme, _, rest = whole.partition("://")
        host, _, below = rest.partition("/")
        return f"{scheme}://{host}", f"/{below}"

    def get(self, request: Request, what: str, read: Callable[[Answer], Read], came: Answer | None = None) -> Read:
        """What `read` makes of a 2xx answer, or of one that says that there is no such page where that may be.

        `what` names stream and page in errors; query parameters never appear there. `came` is the answer to the first try, where
        that was asked for before.

        Raises CredentialsRefused, ApiUnavailable or AnswerRefused, and what `read` raises but Unreadable and ToldError, for which
        it is asked again.
        """
        began = math.inf  # the first failure
        last = _Failure("no answer")
        unreadable = 0
        renewed = False
        found: Answer | None = None
        where = f"{what}: {answers.without_query(request.url)}"

        def wait(state: tenacity.RetryCallState) -> float:
            if last.wait is None:
                return backoff(state.attempt_number)
            return last.wait + self.patience.extension + backoff(1)

        def spent(state: tenacity.RetryCallState) -> bool:
            # an API that lets some of several requests through keeps none of them waiting for good
            since = max(began, self._answered) if last.throttled else began
            return unreadable >= _MOST_UNREADABLE or time.monotonic() - since + state.upcoming_sleep > self._limit(last)

        def pause(seconds: float) -> None:
            if self.stop.wait(seconds):
                raise self._unavailable(where, last, attempts, began)

        def answer() -> tuple[bool, Read | None]:
            nonlocal began, last, unreadable, renewed, found, came
            found, came = came, None
            try:
                found = found or self._followed(request)
                if found.status == 401 and not renewed and self.auth.renew():
                    renewed = True
                    found = self._followed(request)
                failure = self._failure(found, where, request.behind)
                if failure is None:
                    result = read(found)
                    self._answered = time.monotonic()
                    return True, result
            except (Unreadable, msgspec.MsgspecError, UnicodeDecodeError) as error:
                if isinstance(error, msgspec.ValidationError):
                    raise
                unreadable += 1
                words = self.masks.first_words(found.body) if found is not None else "nothing"
                failure = _Failure(f"the answer is not readable ({error}); it begins with: {words}")
            except ToldError as error:
                failure = _Failure(f"the API answered with an error in the place of records: {self.masks.hidden(str(error))}")
            except TooLarge as error:
                raise AnswerRefused(f"{where}: {error}", action="raise max_response_mb, or ask for smaller pages") from error
            except NoAnswer as error:
                failure = _Failure(str(error))
                if error.is_final:
                    raise ApiUnavailable(
                        f"{where}: {error}", action="set ca_file to the authority that signed the API's certificate"
                    ) from error
            began, last = min(began, time.monotonic()), failure
            return False, None

        first = answer()
        if first[0]:
            return first[1]  # type: ignore[return-value]
        import tenacity  # most runs need none of it

        tries = chain([first], iter(answer, None))
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda result: not result[0]),
            wait=wait,
            stop=spent,
            sleep=pause,
            retry_error_callback=lambda state: (False, None),
        )
        done, result = attempts(lambda: next(tries))
        if not done:
            if unreadable >= _MOST_UNREADABLE:
                raise AnswerRefused(f"{where}: {last.reason}")
            raise self._unavailable(where, last, attempts, began)
        return result  # type: ignore[return-value]

    def _followed(self, request: Request) -> Answer:
        """The answer at the end of all redirects. What the settings say goes along to the API's own host only."""
        url, body = request.address, self._body(request)
        for _ in range(_MOST_REDIRECTS):
            headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
            if answers.is_same(url, self.base):
                headers |= {**self.headers, **request.headers}
                if body is not None:
                    headers["Content-Type"] = "application/json"
                self.auth.sign(url, headers, body)
            self._paced()
            found = self._sent(url, headers, body)
            target = found.headers.get("location")
            if found.status not in _REDIRECTS or not target:
                return found
            try:
                url = answers.joined(url, target)
            except ValueError:
                raise NoAnswer("the API redirects to an address that is not valid") from None
            if answers.origin(url)[0] not in ("http", "https"):
                raise NoAnswer(f"the API redirects to {answers.without_query(url)}")
            if not answers.is_same(url, self.base):
                body = None
        raise NoAnswer(f"the API redirects more than {_MOST_REDIRECTS} times")

    def _sent(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """One answer, whatever its status; the pace hears of it."""
        turn = self.pace.ask()
        try:
            found = self.transport.send(url, headers, body)
        except NoAnswer:
            self.pace.refused(turn)
            raise
        except BaseException:
            self.pace.over(turn)
            raise
        if found.status in _MAY_PASS or "retry-after" in found.headers or rate_limit(found.headers) is not None:
            self.pace.refused(turn)
        elif 200 <= found.status < 300:
            self.pace.answered(turn, len(found.body))
        else:
            self.pace.over(turn)
        return found

    def _body(self, request: Request) -> bytes | None:
        return msgspec.json.encode(dict(request.params)) if request.in_body else None

    def _paced(self) -> None:
        if self.per_second:
            with self._pace:
                now = time.monotonic()
                at = max(self._next, now)
                self._next = at + 1 / self.per_second
            self.stop.wait(at - now)

    def _failure(self, answer: Answer, where: str, behind: bool) -> _Failure | None:
        """Why an answer is to be asked for again; None for one to read. Raises where it will be the same the next time."""
        status = answer.status
        if 200 <= status < 300 or (behind and status in _BEHIND):
            return None
        told = f"the API answered {status} {answer.reason}".rstrip()
        wait = self._told_to_wait(answer)
        limited = rate_limit(answer.headers)
        if status in _MAY_PASS or (status == 403 and (wait is not None or limited is not None)):
            wait = limited if wait is None else wait
            return _Failure(told, wait, status == 429 or wait is not None)
        words = self.masks.first_words(answer.body)
        if status in (401, 403):
            raise CredentialsRefused(
                f"{where}: the API refused the credentials ({status}); it says: {words}", action=f"check {self.auth.settings}"
            )
        raise AnswerRefused(f"{where}: {told}; it says: {words}")

    def _told_to_wait(self, answer: Answer) -> float | None:
        named = self.patience.header.lower()
        found = told_to_wait(answer.headers.get(named))
        if found is None and named != "retry-after":
            found = told_to_wait(answer.headers.get("retry-after"))
        if found is None and self.patience.in_message:
            try:
                said = msgspec.json.decode(answer.json)
            except (msgspec.MsgspecError, Unreadable, UnicodeDecodeError):
                return None
            found = in_message(said.get("message")) if isinstance(said, dict) else None
        return found

    def _limit(self, failure: _Failure) -> float:
        return self.patience.throttling if failure.throttled else self.patience.failures

    def _unavailable(self, where: str, failure: _Failure, attempts: tenacity.Retrying, began: float) -> ApiUnavailable:
        tries = int(attempts.statistics.get("attempt_number", 1))
        asked = f", and asks to wait {failure.wait:.0f} s" if failure.wait else ""
        seconds = time.monotonic() - began
        often = f"{tries} {'try' if tries == 1 else 'tries'} in {seconds:.1f} s of at most {self._limit(failure):g} s"
        return ApiUnavailable(f"{where}: {failure.reason}{asked} ({often})")


def behind(request: Request) -> Request:
    """The same request, of a page that may be behind the last one."""
    return replace(request, behind=True)
