"""What a run says: one line per event on standard error, in one form for all programs (docs/contracts.md, Lines of a run).

Of this package, Meltano's own environment uses this module and `masks` alone: they import nothing that it lacks.

LOG_FORMAT=json makes each line an object (`singer_arrow.documents.LogLine`); else it is text for people, with the time of day in
UTC before the step. LOG_LEVEL=debug adds what is not needed where everything goes well.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from singer_arrow import masks

FORMAT, LEVEL, STEP, LIVE = "LOG_FORMAT", "LOG_LEVEL", "LIGHTHOUSE_STEP", "LIGHTHOUSE_LIVE"
MARK = "\x1e"  # record separator: RFC 7464
_EVERY_S = 0.5
_OURS = ("tap-mssql", "tap_rest_api_msdk", "target-parquet")
_LEVELS = {"CRITICAL": "error", "ERROR": "error", "WARNING": "warning", "DEBUG": "debug"}


def is_json(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether lines are objects."""
    return environment.get(FORMAT) == "json"


def is_debug() -> bool:
    """Whether every detail is wanted."""
    return os.environ.get(LEVEL) == "debug"


def step() -> str | None:
    """The step of the run that this program works for, as entrypoint.sh tells it; None where nobody runs steps."""
    return os.environ.get(STEP) or None


def line(
    of_step: str,
    message: str,
    level: str = "info",
    stream: str | None = None,
    load: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> str:
    """One event, without a line break at its end. `figures` are in an object only: the message says them to people."""
    if is_json():
        return as_object(of_step, message, level, stream, load, figures)
    warning = "warning: " if level == "warning" else ""
    return f"{datetime.now(UTC):%H:%M:%S}  {of_step:<8}  {warning}{masks.of_run().hidden(message)}"


def as_object(
    of_step: str,
    message: str,
    level: str = "info",
    stream: str | None = None,
    load: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> str:
    """The same as an object, whatever LOG_FORMAT says."""
    time_of = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    told = {"time": time_of, "level": level, "step": of_step, "stream": stream, "load": load}
    hidden = masks.of_run().hidden(message)
    return json.dumps({**told, "message": hidden, "figures": dict(figures or {})}, ensure_ascii=False)


def say(of_step: str, message: str, **more: Any) -> None:
    """The same, on standard error."""
    print(line(of_step, message, **more), file=sys.stderr, flush=True)


def is_watched() -> bool:
    """Whether somebody watches how far each stream is, and reads `progress`."""
    return bool(os.environ.get(LIVE))


def progress(stream: str, rows: int, total: int | None = None, written: int = 0, is_over: bool = False) -> None:
    """Tells how far a stream is, on standard error, for lighthouse.live: of `total` rows, None where nobody knows; bytes."""
    told = {"stream": stream, "rows": rows, "total": total, "bytes": written, "is_over": is_over}
    sys.stderr.write(f"{MARK}{json.dumps(told)}\n")  # one piece: other threads write there, too
    sys.stderr.flush()


class Bar:
    """How far one stream is, told at most twice a second where somebody watches. `rows` are those so far."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._next = time.monotonic() + _EVERY_S if is_watched() else math.inf
        self._is_shown = False

    def move(self, rows: int, total: int | None = None, written: int = 0) -> None:
        """Tells it when it is time; what is over before is never told."""
        if time.monotonic() < self._next:
            return
        self._next, self._is_shown = time.monotonic() + _EVERY_S, True
        progress(self._stream, rows, total, written)

    def end(self, rows: int) -> None:
        """Nothing follows."""
        if self._is_shown:
            self._is_shown = False
            progress(self._stream, rows, is_over=True)


class Lines(logging.Formatter):
    """Log records as lines of a step; `extra` may hold `stream`, `load` and `figures`."""

    def __init__(self, of_step: str) -> None:
        super().__init__()
        self._step = of_step

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, with a traceback where it has one."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        more = {name: getattr(record, name, None) for name in ("stream", "load", "figures")}
        return line(self._step, text, _LEVELS.get(record.levelname, "info"), **more)


def log(of_step: str, level: int | str = logging.INFO) -> None:
    """The log of this program goes to standard error in lines of a step."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(of_step))
    logging.basicConfig(handlers=[handler], level=level)
    if is_debug():
        for name in _OURS:  # libraries may tell secrets
            logging.getLogger(name).setLevel(logging.DEBUG)
