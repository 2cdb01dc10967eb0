"""A problem of the configuration, and lines about problems. Pure text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

_WHERE_TO_SET = "Set them in .env, with docker run --env-file, or in meltano.yml. All settings: docs/configuration.md."


@dataclass(frozen=True)
class Problem:
    """What is wrong with one setting.

    `where` is the variable or the place in meltano.yml; `what` completes the sentence; `value` is what was given, None where it
    is secret or nothing was given; `example` would do.
    """

    where: str
    what: str
    value: str | None = None
    example: str = ""

    def __str__(self) -> str:
        """`TAP_MSSQL_PORT=many must be a whole number, for example: TAP_MSSQL_PORT=1433`."""
        is_variable = self.where.replace("_", "").isalnum()
        given = f"{'=' if is_variable else ' '}{self.value}" if self.value is not None else ""
        example = f", for example: {self.where}={self.example}" if self.example and is_variable else ""
        if self.example and not is_variable:
            example = f", for example: {self.example}"
        return f"{self.where}{given} {self.what}{example}"


def report(problems: Iterable[Problem]) -> str:
    """All problems, one a line, with what is safe and what to do."""
    lines = list(dict.fromkeys(map(str, problems)))
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    head = f"The configuration has {count}; nothing was connected to, nothing was changed:"
    return "\n".join([head, *(f"  - {line}" for line in lines), _WHERE_TO_SET])


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known name that is nearest, empty text where none is near."""
    near = difflib.get_close_matches(name, sorted(known), 1, likeness)
    return near[0] if near else ""
