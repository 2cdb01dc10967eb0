"""What can go wrong with data on its way into parts.

ArrowSingerError
├── SettingsRefused     a configuration, with every problem it has
├── NameRefused         two names meet, or a name cannot be used
├── TypeRefused         a declared type that no Arrow type holds exactly
├── ValueRefused        a value that its declared type does not hold exactly
└── DamagedPart         a part or document that is not what its name, footer or document says
"""

from __future__ import annotations

from collections.abc import Sequence


class ArrowSingerError(Exception):
    """Base of this package's errors; the text is meant for the person who runs the pipeline."""


class SettingsRefused(ArrowSingerError):
    """A configuration, with every problem it has; nothing was connected to and nothing was changed."""

    def __init__(self, program: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        head = f"the configuration of {program} has {count}; nothing was connected to and nothing was changed."
        super().__init__("\n  - ".join([head, *self.problems]))


class NameRefused(ArrowSingerError):
    """Two names meet after normalising, or a name cannot be used in Delta."""


class TypeRefused(ArrowSingerError):
    """A declared type that no Arrow type of docs/contracts.md holds exactly."""


class ValueRefused(ArrowSingerError):
    """A value that its declared type does not hold exactly."""


class DamagedPart(ArrowSingerError):
    """A part or load document that is not what its name, footer or document says."""
