"""What stops this target.

TargetError             exit 1, one line for people
├── SettingsRefused     the configuration; every problem at once
├── MessageRefused      a line that is no Singer message, or that comes out of order
├── IncompleteLoad      the tap stopped before a load was complete
└── StageBusy           another target writes into the same folder
"""

from __future__ import annotations


class TargetError(Exception):
    """Base of this package's errors; the text says what happened, where, what is safe, and what to do."""


class SettingsRefused(TargetError):
    """The configuration; every problem at once."""


class MessageRefused(TargetError):
    """A line that is no Singer message, or that comes out of order."""


class IncompleteLoad(TargetError):
    """The tap stopped before a load was complete; nothing of it is visible to later steps."""


class StageBusy(TargetError):
    """Another target writes into the same folder."""
