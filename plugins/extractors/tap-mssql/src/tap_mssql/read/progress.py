"""How far reading is: a line per active stream every few seconds, or a bar per stream where a person watches a terminal.

The bars are drawn here, or by whoever runs the tap and says so (singer_arrow.lines.is_watched).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Protocol

from singer_arrow import lines
from tap_mssql.read.load import Load

log = logging.getLogger("tap-mssql")


class Progress(Protocol):
    """Shows how far the loads are that are being read."""

    def show(self) -> None:
        """Shows how far they are, when it is time."""

    def close(self) -> None:
        """Shows what they came to; nothing follows."""


def progress(loads: Sequence[Load], every: float) -> Progress:
    """Bars where somebody watches, else lines, `every` so many seconds."""
    if lines.is_watched():
        return Told(loads)
    return Bars(loads) if sys.stderr.isatty() else Lines(loads, every)


class Told:
    """How far each stream is, for whoever draws bars."""

    def __init__(self, loads: Sequence[Load]) -> None:
        self._loads = loads
        self._shown: set[str] = set()

    def show(self) -> None:
        """Each stream that is being read; once more one that no longer is."""
        for load in self._loads:
            if load.is_over:
                self._end(load)
            elif load.readers:
                self._shown.add(load.stream)
                lines.progress(load.stream, load.ranges.rows, _expected(load) or None, load.ranges.finished_bytes)

    def close(self) -> None:
        """The end of all that were shown."""
        for load in self._loads:
            self._end(load)

    def _end(self, load: Load) -> None:
        if load.stream in self._shown:
            self._shown.remove(load.stream)
            lines.progress(load.stream, load.ranges.rows, written=load.ranges.finished_bytes, is_over=True)


class Lines:
    """A line per active stream in the log."""

    def __init__(self, loads: Sequence[Load], every: float) -> None:
        self._loads = loads
        self._every = every
        self._next = time.monotonic() + every
        self._before: dict[str, int] = {}

    def show(self) -> None:
        """A line per active stream, when it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        seconds, self._next = now - self._next + self._every, now + self._every
        for load in self._loads:
            if load.readers and not load.is_over:
                rows = load.ranges.rows
                before, self._before[load.stream] = self._before.get(load.stream), rows
                if before is not None:  # what has been read since the last time takes long enough to be told
                    rate = (rows - before) / seconds
                    log.info(line(load.stream, rows, rate, load.ranges.finished_bytes, _expected(load)))

    def close(self) -> None:
        """Nothing: the log says of each load what it came to."""


def line(stream: str, rows: int, rate: float, written: int, estimate: int) -> str:
    """`Sales-X: 1,200,000 rows, 250,000 rows/s, 85.1 MB, 60 %, 12 s left`; `rate` in rows/s, `written` in bytes."""
    text = f"{stream}: {rows:,} rows, {rate:,.0f} rows/s, {written / 1e6:,.1f} MB"
    if estimate and rate > 0:
        text += f", {min(100 * rows / estimate, 99):.0f} %, {max(estimate - rows, 0) / rate:,.0f} s left"
    return text


class Bars:
    """A bar per stream that is being read or was; log lines go above them."""

    def __init__(self, loads: Sequence[Load]) -> None:
        # Imported only here: who watches has the time, a run without a terminal need not wait for it.
        from tqdm import tqdm
        from tqdm.contrib.logging import logging_redirect_tqdm

        self._loads = loads
        self._new = partial(tqdm, unit=" rows", unit_scale=True, dynamic_ncols=True)
        self._bars: dict[str, Any] = {}
        self._open = ExitStack()
        self._open.enter_context(logging_redirect_tqdm())

    def show(self) -> None:
        """Each bar as far as its load is."""
        for load in self._loads:
            if load.readers or load.is_over:
                self._move(load)

    def _move(self, load: Load) -> None:
        bar = self._bars.get(load.stream)
        if bar is None:
            bar = self._bars[load.stream] = self._new(desc=load.stream)
            bar.start_t = bar.last_print_t = bar.start_t - (time.monotonic() - load.began)
        bar.update(load.ranges.rows - bar.n)
        bar.total = load.ranges.rows if load.document else max(_expected(load), load.ranges.rows) or None
        bar.set_postfix_str(
            f"{load.ranges.finished_bytes / 1e6:,.1f} MB" + ("" if load.error is None else ", failed"), refresh=False
        )
        bar.refresh()

    def close(self) -> None:
        """The bars stay as they are."""
        self.show()
        for bar in self._bars.values():
            bar.close()
        self._open.close()


def _expected(load: Load) -> int:
    """Rows the load will have; 0 where nothing says so."""
    return 0 if load.request.is_incremental else load.request.estimated_rows
