"""What can go wrong with data on its way into parts.

ArrowSingerError
├── NameRefused         two names meet, or a name cannot be used
├── TypeRefused         a declared type that no Arrow type holds exactly
├── ValueRefused        a value that its declared type does not hold exactly
└── DamagedPart         a part or document that is not what its name, footer or document says
"""

from __future__ import annotations


class ArrowSingerError(Exception):
    """Base of this package's errors; the text is meant for the person who runs the pipeline."""


class NameRefused(ArrowSingerError):
    """Two names meet after normalising, or a name cannot be used in Delta."""


class TypeRefused(ArrowSingerError):
    """A declared type that no Arrow type of docs/contracts.md holds exactly."""


class ValueRefused(ArrowSingerError):
    """A value that its declared type does not hold exactly."""


class DamagedPart(ArrowSingerError):
    """A part or load document that is not what its name, footer or document says."""
