"""`tap-rest-api-msdk --doctor`: what stands between this machine and a good read of the API, all at once, with what to do."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from singer_arrow import batch
from singer_arrow.errors import Failure
from singer_arrow.findings import Finding, tell
from tap_rest_api_msdk import config, connect, pages
from tap_rest_api_msdk.client import answers
from tap_rest_api_msdk.client.answers import Answer
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.config import StreamConfig, TapConfig
from tap_rest_api_msdk.errors import AnswerRefused, ApiUnavailable, CredentialsRefused
from tap_rest_api_msdk.pages.requests import Requests
from tap_rest_api_msdk.records.envelope import Envelope, Page

PATIENCE_S = 3.0  # of a doctor: whoever asks is waiting
CLOCK_SECONDS = 5


def main(arguments: Sequence[str]) -> int:
    """Prints the findings, as a table or with `--json`; with `--login` those up to the login. Returns 0, or 3 when one failed.

    Raises SettingsRefused.
    """
    found = examine(config.parse(batch.given(arguments, "--config") or {}))
    return tell(list(up_to_login(found) if "--login" in arguments else found), "--json" in arguments)


def up_to_login(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those that say whether the API lets us in; what comes behind them is not asked for."""
    for each in findings:
        yield each
        if each.name == "login":
            return


def examine(given: TapConfig) -> Iterator[Finding]:
    """Checks everything that does not depend on something that failed."""
    patience = replace(given.patience, failures=PATIENCE_S, throttling=PATIENCE_S)
    limits = replace(given.limits, timeout=min(given.limits.timeout, 30.0))
    client = connect.client(replace(given, patience=patience, limits=limits))
    if not given.settings.proxy:
        found = network(given)
        yield found
        if found.status == "failed":
            return
    else:
        yield Finding("network", "ok", f"through the proxy {urlsplit(given.settings.proxy).netloc.rpartition('@')[2]}")
    if urlsplit(given.api_url).scheme != "https":
        yield Finding(
            "TLS", "warning", "the API is asked over http: login and records travel unencrypted", "use an https address"
        )
    seen: list[Answer] = []
    is_in = False
    for stream in given.streams:
        if stream.parent:
            yield Finding(stream.name, "ok", f"is read for each record of {stream.parent}; not looked at")
            continue
        try:
            page = first_page(stream, given, client, seen)
        except CredentialsRefused as error:
            yield Finding("login", "failed", error.what, error.action)
            return
        except ApiUnavailable as error:
            yield Finding("API", "failed", error.what, error.action)
            return
        except Failure as error:
            yield Finding(stream.name, "failed", error.what, error.action)
            continue
        if not is_in:
            is_in = True
            yield Finding("login", "ok", f"with {client.auth.settings}" if client.auth.settings else "none is asked for")
            yield clock(seen[0])
        total = "no total" if page.total is None else f"{page.total:,} in all"
        yield Finding(stream.name, "ok", f"{len(page.records):,} records on the first page, {total}")


def network(given: TapConfig) -> Finding:
    """How long the API's port takes to answer."""
    _, host, port = answers.origin(given.api_url)
    began = time.monotonic()
    try:
        with socket.create_connection((host, port), PATIENCE_S) as sock:
            where = sock.getpeername()[0]
    except socket.gaierror as error:
        return Finding(
            "network", "failed", f"{host}: {error.strerror}", "check api_url (API_HOST) and this machine's name server"
        )
    except OSError as error:
        fix = "check api_url (API_HOST), and the firewalls in between; set proxy where one is needed"
        return Finding("network", "failed", f"{host}, port {port}: {error.strerror or error}", fix)
    return Finding("network", "ok", f"{where}, port {port} answered in {(time.monotonic() - began) * 1000:.0f} ms")


def first_page(stream: StreamConfig, given: TapConfig, client: ApiClient, seen: list[Answer]) -> Page:
    """A stream's first page; the answer itself is added to `seen`. Raises TapError as reading does."""
    envelope = Envelope(stream.records_path, stream.paging.total_path, pages.token_path(stream.paging), stream.error_paths)
    requests = Requests(stream, given.api_url, None, None, {})

    def read(answer: Answer) -> Page:
        seen.append(answer)
        try:
            return envelope.page(answer)
        except msgspec.ValidationError as error:
            raise AnswerRefused(f"stream {stream.name}: {answer.url}: {error}") from error

    return client.get(requests.at(pages.of(stream.paging).first(), False), f"stream {stream.name}", read)


def clock(answer: Answer) -> Finding:
    """Whether this machine's clock is the API's: bookmarks are the source's, signatures and tokens are not."""
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return Finding("clock", "ok", "the API does not say its time")
    apart = abs((datetime.now(UTC) - there.replace(tzinfo=there.tzinfo or UTC)).total_seconds())
    if apart <= CLOCK_SECONDS:
        return Finding("clock", "ok", "within seconds of the API's")
    return Finding("clock", "warning", f"{apart:.0f} seconds apart from the API's", "set this machine's clock (NTP)")
