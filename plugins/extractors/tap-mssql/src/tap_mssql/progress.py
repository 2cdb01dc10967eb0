"""How far reading is: a line per active stream every few seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from tap_mssql.load import Load
from tap_mssql.settings import Settings

log = logging.getLogger("tap-mssql")


class Progress:
    """Tells of the loads that are being read."""

    def __init__(self, loads: Sequence[Load], settings: Settings) -> None:
        self._loads = loads
        self._every = settings.progress_seconds
        self._next = time.monotonic() + self._every
        self._before: dict[str, int] = {}

    def tell(self) -> None:
        """Logs a line per active stream, when it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        seconds, self._next = now - self._next + self._every, now + self._every
        for load in self._loads:
            if load.reading and not load.is_over:
                rows = load.rows
                rate = (rows - self._before.get(load.stream, 0)) / seconds
                self._before[load.stream] = rows
                log.info(line(load.stream, rows, rate, load.bytes, load.estimate if not load.wanted.cursor else 0))


def line(stream: str, rows: int, rate: float, written: int, estimate: int) -> str:
    """`Sales-X: 1,200,000 rows, 250,000 rows/s, 85.1 MB, 60 %, 12 s left`; `rate` in rows/s, `written` in bytes."""
    text = f"{stream}: {rows:,} rows, {rate:,.0f} rows/s, {written / 1e6:,.1f} MB"
    if estimate and rate > 0:
        text += f", {min(100 * rows / estimate, 99):.0f} %, {max(estimate - rows, 0) / rate:,.0f} s left"
    return text
