"""How far `meltano run` is, where a person watches a terminal: a bar per stream that is being read, below the lines of the run.

Plugins of ours tell how far they are where LIGHTHOUSE_LIVE is set, by lines that begin with MARK (singer_arrow.lines.progress).
"""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from singer_arrow.lines import MARK


class Live:
    """The bars, drawn from the first stream on until `close`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[figures]}", markup=False, justify="right"),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(
            *columns, console=console, transient=True, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False
        )
        self._tasks: dict[str, TaskID] = {}

    def move(self, line: str) -> None:
        """Takes what a plugin told of a stream; `line` begins with MARK."""
        told: dict[str, Any] = json.loads(line.removeprefix(MARK))
        stream, rows, total = told["stream"], told["rows"], told["total"]
        if told["is_over"]:
            if stream in self._tasks:
                self._progress.remove_task(self._tasks.pop(stream))
            if not self._tasks:
                self.close()
            return
        if stream not in self._tasks:
            self._progress.start()
            self._tasks[stream] = self._progress.add_task(stream, total=None, figures="")
        figures = f"{rows:,} rows  {told['bytes'] / 1e6:,.1f} MB"
        self._progress.update(self._tasks[stream], completed=rows, total=max(total, rows) if total else None, figures=figures)

    def say(self, line: str) -> None:
        """Writes a line above the bars, as it is."""
        self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Takes the bars away."""
        self._progress.stop()
