"""Tells a webhook that a run failed, and that one is well again (docs/operations.md). No secret is ever in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
import requests
from msgspec import Meta
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from singer_arrow import durable
from singer_arrow.documents import VERSION, UtcText, Version
from singer_arrow.exits import Exit

FAILING = "failing.json"  # beside the folder of staged files, from a failed run to the next that is well
NO_FAILURE = (Exit.LOCKED, Exit.INTERRUPTED, Exit.TERMINATED)  # another run is at it, or somebody stopped it
TOLD = 20  # lines of what was said
TIMEOUT_S = 10.0
RETRIES = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|_KEY|WEBHOOK|API_?KEY|HEADERS|PROXY|__AUTH")
_SECRETS = re.compile(r"HEADERS|__AUTH")  # hold names beside secrets: `name=value,…`, or JSON
_LEAST = 4  # characters from which a value is masked
_LONG = 8  # characters from which a piece of one is


class Failing(msgspec.Struct, frozen=True):
    """What is remembered of runs that failed: when the first of them ended, and how many there were."""

    since: UtcText
    runs: int


class Alert(msgspec.Struct, kw_only=True, frozen=True):
    """The body of the request."""

    version: Version = VERSION
    event: Literal["failure", "recovery"]
    text: Annotated[str, Meta(description="one line for people; chat programs show it")]
    code: Annotated[int, Meta(description="the exit code of the run")]
    run_id: str
    target: str
    at: UtcText
    since: Annotated[UtcText | None, Meta(description="when the first of the failed runs ended; null where that is not known")]
    failed_runs: Annotated[int, Meta(ge=0, description="in a row, as far as is known")]
    told: Annotated[list[str], Meta(description="what was said about the failure, line by line")]


def alert_of(code: int, run_id: str, target: str, before: Failing | None, told: Sequence[str], now: datetime) -> Alert | None:
    """What is to be said of a run that ended with `code`; None for nothing."""
    if code in NO_FAILURE or (code == 0 and before is None):
        return None
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if code:
        runs = (before.runs if before else 0) + 1
        first = f": {told[0]}" if told else ""
        text = f"Lighthouse: a run into {target} failed with exit code {code}{first}"
    else:
        runs = before.runs if before else 0
        text = f"Lighthouse: a run into {target} is well again, after {runs} that failed"
    return Alert(
        event="failure" if code else "recovery", text=text, code=code, run_id=run_id, target=target, at=at,
        since=before.since if before else at, failed_runs=runs, told=list(told[:TOLD]) if code else [],
    )  # fmt: skip


def masked(text: str, environment: Mapping[str, str]) -> str:
    """A text without the values of variables that are secret, plain or as in a URL."""
    secrets = {value for name, value in environment.items() if _SECRET.search(name) and len(value) >= _LEAST}
    several = {unquote(value) for name, value in environment.items() if _SECRETS.search(name)}
    secrets |= {piece for value in several for piece in re.split(r"[=,:\s\"{}]+", value) if len(piece) >= _LONG}
    for secret in sorted({*secrets, *(quote(each, safe="") for each in secrets)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def remembered(output: Path) -> Failing | None:
    """What is known of the runs before; None where they were well, or nothing is known."""
    try:
        return msgspec.json.decode((output.parent / FAILING).read_bytes(), type=Failing)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(output: Path, alert: Alert) -> None:
    """Keeps what the next run must know. Raises OSError."""
    file = output.parent / FAILING
    if alert.event == "recovery":
        file.unlink(missing_ok=True)
    else:
        durable.write_bytes(file, msgspec.json.encode(Failing(str(alert.since), alert.failed_runs)))


def said(files: Iterable[Path]) -> list[str]:
    """Messages of a run's notes, each line once."""
    texts = [file.read_text() for file in files if file.exists()]
    return list(dict.fromkeys(line.strip() for text in texts for line in text.splitlines() if line.strip()))


def post(url: str, body: bytes, retries: Retry = RETRIES) -> str:
    """Sends it, again where that may help; what went wrong, empty for nothing. The URL is a secret: its host alone is told."""
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))
        try:
            answer = session.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            return f"{urlsplit(url).hostname}: {type(error).__name__}"
    return "" if answer.ok else f"{urlsplit(url).hostname} answered {answer.status_code}"
