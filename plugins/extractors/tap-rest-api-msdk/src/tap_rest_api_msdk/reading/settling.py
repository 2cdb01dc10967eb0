"""Reading again what moved: until two reads agree, and no longer than the settings allow."""

from __future__ import annotations

import logging
import threading
import time

from singer_arrow.errors import Failure
from tap_rest_api_msdk.errors import Repeated
from tap_rest_api_msdk.retry import backoff

log = logging.getLogger("tap_rest_api_msdk")


class Settling:
    """Counts the reads of one load; `seconds` is how long they may go on after the first one."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds, self._stop = seconds, stop
        self._until = 0.0
        self._tries = 0
        self._before: tuple[int, str] | None = None

    def agrees(self, digest: int, what: str) -> bool:
        """Whether the read before this one ended in the same way, with the same records."""
        return self._before == (digest, what)

    def again(self, failed: Failure, digest: int) -> None:
        """Waits a moment before the next read. Raises what it failed for where two reads agree on it, or the time is up."""
        self._tries += 1
        self._until = self._until or time.monotonic() + self._seconds
        if self.agrees(digest, failed.what) or (isinstance(failed, Repeated) and self._before and self._before[1] == failed.what):
            raise failed.keeping("Nothing of this stream was kept: it was read twice, with the same result")
        if time.monotonic() >= self._until:
            often = f"{self._tries} time{'' if self._tries == 1 else 's'}"
            raise failed.keeping(f"Nothing of this stream was kept: it was read {often} (settle_max_seconds: {self._seconds:g})")
        self._before = (digest, failed.what)
        log.warning("%s; the stream is read again", failed.what)
        self._stop.clear()
        self._stop.wait(min(backoff(self._tries), max(self._until - time.monotonic(), 0)))
