"""Tables on the terminal: drawn by rich on a tty, aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> None:
    """Prints rows below their column names; the first `left` columns are text, the others align right. None is `—`."""
    texts = [[_text(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for number, name in enumerate(columns):
            table.add_column(name, justify="left" if number < left else "right")
        for row in texts:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(len(each) for each in column) for column in zip(columns, *texts, strict=True)]
    print(title)
    for row in [list(columns), *texts]:
        cells = [
            cell.ljust(width) if n < left else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())


def _text(cell: object) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, bool):
        return "yes" if cell else "NO"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.1f}" if isinstance(cell, float) else str(cell)
