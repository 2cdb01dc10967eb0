"""What can go wrong with data on its way into parts, and the form of every message.

Failure                     base of every package's errors: what happened and where, what is safe, what to do
└── ArrowSingerError
    ├── SettingsRefused     a configuration, with every problem it has
    ├── SelectionRefused    a stream, key or column that cannot be read as asked
    ├── SomeFailed          some streams failed, the others are staged
    ├── NameRefused         two names meet, or a name cannot be used
    ├── TypeRefused         a declared type that no Arrow type holds exactly
    ├── ValueRefused        a value that its declared type does not hold exactly
    ├── TooManyDeadLetters  more records than max_dead_letters allows do not fit their schema
    └── DamagedPart         a part or document that is not what its name, footer or document says
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self


class Failure(Exception):
    """A failure that a person is told in three sentences: `what` happened and where, what is `safe`, what to do (`action`).

    SAFE and ACTION are what a class says where nothing more exact is given.
    """

    SAFE: ClassVar[str] = "Nothing of this load is staged, Delta is as it was"
    ACTION: ClassVar[str] = "run again"

    def __init__(self, what: str, *, safe: str | None = None, action: str = "") -> None:
        self.what = what if "\n" in what else what.rstrip(". ")
        self.safe = safe or self.SAFE
        self.action = (action or self.ACTION).rstrip(". ")
        super().__init__(what)

    def __str__(self) -> str:
        between = "\n" if "\n" in self.what else ". "
        return f"{self.what}{between}{self.safe}. What to do: {self.action}."

    def keeping(self, safe: str) -> Self:
        """The same failure with a more exact word about what is safe."""
        self.safe = safe.rstrip(". ")
        return self


class ArrowSingerError(Failure):
    """Base of this package's errors."""


class SettingsRefused(ArrowSingerError):
    """A configuration, with every problem it has; nothing was connected to and nothing was changed."""

    SAFE = "Nothing was connected to and nothing was changed"
    ACTION = "correct these settings; docs/configuration.md lists them all"

    def __init__(self, program: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        super().__init__("\n  - ".join([f"the configuration of {program} has {count}:", *self.problems]))


class SelectionRefused(ArrowSingerError):
    """A stream, key or column that cannot be read as asked; nothing was read. A tap ends with exit 2 for it."""

    SAFE = "Nothing was read"


class SomeFailed(ArrowSingerError):
    """Some streams failed; the text names them, and what is safe."""


class NameRefused(ArrowSingerError):
    """Two names meet after normalising, or a name cannot be used in Delta."""

    SAFE = "Nothing was read"
    ACTION = "deselect one of them, or rename it at the source"


class TypeRefused(ArrowSingerError):
    """A declared type that no Arrow type of docs/contracts.md holds exactly."""

    SAFE = "Nothing was read"
    ACTION = "declare a type that holds the values (docs/contracts.md lists the types)"


class ValueRefused(ArrowSingerError):
    """A value that its declared type does not hold exactly."""

    ACTION = "declare a type that holds it, or deselect the column"


class TooManyDeadLetters(ArrowSingerError):
    """More records than max_dead_letters allows do not fit their stream's schema; they are put aside in a file that is named."""

    ACTION = "correct the schema, or raise max_dead_letters, and run again"


class DamagedPart(ArrowSingerError):
    """A part or load document that is not what its name, footer or document says."""

    ACTION = "run again: the stream is read anew"
