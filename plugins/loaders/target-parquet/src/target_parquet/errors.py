"""What stops this target.

TargetError             exit 3, one line for people (a refused configuration is singer_arrow's SettingsRefused, exit 2)
├── MessageRefused      a line that is no Singer message, or that comes out of order
├── IncompleteLoad      the tap stopped before a load was complete
└── StageBusy           another target writes into the same folder
"""

from __future__ import annotations


class TargetError(Exception):
    """Base of this package's errors; the text says what happened, where, what is safe, and what to do."""


class MessageRefused(TargetError):
    """A line that is no Singer message, or that comes out of order."""


class IncompleteLoad(TargetError):
    """The tap stopped before a load was complete; nothing of it is visible to later steps."""


class StageBusy(TargetError):
    """Another target writes into the same folder."""
