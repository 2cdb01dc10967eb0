"""What people see: progress on standard error, tables on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from singer_arrow import lines, masks

FINISH = "finish"  # the step of a run that says nothing where nothing was left
ENDLESS = 100_000  # characters a line may have where nobody sees its end


def say(line: str, level: str = "info", **more: Any) -> None:
    """Progress, on standard error: standard output is for results. `more` as in `singer_arrow.lines.line`."""
    step = lines.step()
    if step or lines.is_json():
        lines.say(step or "lakehouse", line, level=level, **more)
    else:
        print(masks.of_run().hidden(f"lakehouse: {line}"), file=sys.stderr, flush=True)


def detail(line: str) -> None:
    """Progress that a run does without, unless LOG_LEVEL=debug asks for it."""
    if lines.is_debug() or not lines.step():
        say(line, level="debug")


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Where a person watches a terminal: what is waited for until the block ends, and since when, below the lines."""
    if not sys.stderr.isatty() or lines.is_json():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True, refresh_per_second=4) as shown:
        shown.add_task(words, total=None)
        yield


def show(line: str, **more: Any) -> None:
    """A result, on standard output. `more` as in `singer_arrow.lines.line`."""
    step = lines.step()
    print(lines.line(step or "lakehouse", line, **more) if step or lines.is_json() else line, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> None:
    """Prints rows below their column names, drawn on a terminal, aligned text elsewhere; no name is ever cut.

    The first `left` columns are text, the others align right. None is `—`.
    """
    if lines.is_json():
        for row in rows:
            print(lines.line(lines.step() or "lakehouse", title, figures=dict(zip(columns, row, strict=True))))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(highlight=False, force_terminal=on_terminal, width=None if on_terminal else ENDLESS)
    table = Table(header_style="bold", box=box.HEAVY_HEAD)
    if not on_terminal:
        table.box, table.padding, table.pad_edge = None, (0, 2, 0, 0), False
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell)) for cell in row))
    console.print(Text(title, style="bold"))
    console.print(table)


def _text(cell: object) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, bool):
        return "yes" if cell else "NO"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.1f}" if isinstance(cell, float) else str(cell)
