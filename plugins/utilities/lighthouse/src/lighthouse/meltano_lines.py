"""What Meltano writes while it runs a block (logging.yaml): its plugins' lines as they are, and of its own what says something.

LOG_LEVEL=debug shows all of it.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
from collections import deque
from typing import Any

from lighthouse.live import Live
from singer_arrow import masks
from singer_arrow.lines import LIVE, MARK, is_json, line

STEP = "extract"
_NOISE = (  # where a run is as it should be; the rest of Meltano's warnings are shown
    "Force option is enabled",
    "No state was found",
    "Skipping parse of env var settings",
    "Run completed",
)
_INTERNAL = ("asyncio", "py.warnings")  # what Meltano left open when it was ended
_TOLD_BY_ENTRYPOINT = (
    "Block run completed",
    "Extractor failed",
    "Loader failed",
    "Extractor and loader failed",
    "The process was terminated",
    "Need help fixing this problem?",
)
_LINE = re.compile(r'\d\d:\d\d:\d\d  \S|\{"time": ?"|\s')  # of our own programs, or the rest of a message
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d[ T][\d:,.]+Z?[ |]*")
_REMEMBERED, _SENTENCE = 200, 30  # lines; characters from which one that comes again is no chance


def spoken(record: logging.LogRecord) -> tuple[str, str]:
    """The plugin that said something, empty for Meltano itself, and what it said."""
    told: Any = record.msg
    if not isinstance(told, dict):
        return "", record.getMessage()
    event, plugin = str(told.get("event", "")), str(told.get("name") or "")
    return "" if plugin == "meltano" else plugin, f"{event}: {told['err']}" if told.get("err") else event


class Worth(logging.Filter):
    """Lets through what a person can act on or learn from; not what a plugin has said already."""

    def __init__(self) -> None:
        super().__init__()
        self._is_debug = os.environ.get("LOG_LEVEL") == "debug"
        self._is_step = bool(os.environ.get("LIGHTHOUSE_STEP"))
        self._said: deque[str] = deque(maxlen=_REMEMBERED)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        plugin, text = spoken(record)
        if plugin and text.startswith(MARK):
            return True
        if plugin:
            self._said.append(text.strip())
            return True
        if self._is_debug:
            return True
        if record.levelno < logging.WARNING or record.name in _INTERNAL or text.startswith(_NOISE):
            return False
        if self._is_step and text.startswith(_TOLD_BY_ENTRYPOINT):
            return False
        return not any(len(said) >= _SENTENCE and said in text for said in self._said)


class Lines(logging.Formatter):
    """Lines of a run; what is one already stays as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        plugin, text = spoken(record)
        if plugin and _LINE.match(text) and not (text[0].isspace() and os.environ.get("LOG_FORMAT") == "json"):
            return masks.of_run().hidden(text)
        if plugin:
            text = _STAMP.sub("", text.strip())
            text = text if text.startswith((plugin, "tap-", "target-")) else f"{plugin}: {text}"
        else:
            text = f"Meltano: {text.strip()}"
            failed = record.exc_info or (record.msg.get("exc_info") if isinstance(record.msg, dict) else None)
            if isinstance(failed, tuple) and failed[0] is not None:
                text = f"{text}\n{self.formatException(failed)}"
        level = "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        return line(STEP, text, "info" if plugin else level)


class Screen(logging.StreamHandler[Any]):
    """Standard error; on a terminal with how far each stream is below the lines, which plugins are asked to tell."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._live: Live | None = None
        if self.stream.isatty() and not is_json():
            from rich.console import Console

            self._live = Live(Console(file=self.stream, highlight=False))
            os.environ[LIVE] = "1"
            atexit.register(self._live.close)

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record; what tells how far a stream is moves its bar. What fails here stops no run, as with any handler."""
        plugin, text = spoken(record)
        if self._live is None:
            if not (plugin and text.startswith(MARK)):
                super().emit(record)
            return
        try:
            if plugin and text.startswith(MARK):
                self._live.move(text)
            else:
                self._live.say(self.format(record))
        except Exception:
            self.handleError(record)
