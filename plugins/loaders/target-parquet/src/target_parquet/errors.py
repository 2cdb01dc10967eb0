"""What stops this target.

TargetError             exit 3, one line for people (a refused configuration is singer_arrow's SettingsRefused, exit 2)
├── MessageRefused      a line that is no Singer message, or that comes out of order
│   └── SchemaMissing   a RECORD or BATCH before the SCHEMA of its stream
├── IncompleteLoad      the tap stopped before a load was complete
└── FolderBusy           another target writes into the same folder
"""

from __future__ import annotations

from singer_arrow.errors import Failure


class TargetError(Failure):
    """Base of this package's errors."""


class MessageRefused(TargetError):
    """A line that is no Singer message, or that comes out of order."""

    ACTION = "check the tap: its messages break the Singer specification"


class SchemaMissing(MessageRefused):
    """A RECORD or BATCH before the SCHEMA of its stream."""


class IncompleteLoad(TargetError):
    """The tap stopped before a load was complete; nothing of it is visible to later steps."""

    SAFE = "Its finished parts stay in the spool, nothing of this load is staged"


class FolderBusy(TargetError):
    """Another target writes into the same folder."""

    SAFE = "Nothing was changed"
    ACTION = "wait until it ends"
