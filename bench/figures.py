"""Figures and their bounds: a line each, the raw numbers as JSON, exit 1 when one falls short."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass
class Figure:
    """A measured value and what it must not exceed; no bound for a value that is only told.

    `void` says why there is no value (a program that failed, or lost rows); a void figure keeps no bound.
    """

    name: str
    value: float | None
    at_most: float | None = None
    void: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value keeps its bound."""
        return self.at_most is None or (self.value is not None and not self.void and self.value <= self.at_most)

    def line(self) -> str:
        """`name value bound ok|short`, and why a void figure is void."""
        bound = "-" if self.at_most is None else f"<={self.at_most:g}"
        value = "void" if self.void or self.value is None else f"{self.value:.3g}"
        return f"{self.name} {value} {bound} {'ok' if self.ok else 'short'}" + (f" ({self.void})" if self.void else "")


def report(name: str, figures: list[Figure], raw: dict[str, Any]) -> None:
    """Prints the figures, writes `results/NAME.json`, and exits 1 when one falls short."""
    for figure in figures:
        print(figure.line())
    RESULTS.mkdir(exist_ok=True)
    document = {
        "figures": [{**asdict(f), "ok": f.ok} for f in figures],
        "raw": raw,
        "machine": {"cpu": platform.processor() or platform.machine(), "python": platform.python_version()},
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(0 if all(f.ok for f in figures) else 1)
