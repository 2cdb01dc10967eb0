"""What stops this tap.

TapError                exit 3, one message for people, no traceback; a refused configuration is singer_arrow's SettingsRefused
├── ConnectionRefused   host, certificate, login or database: nothing was read
├── SpoolBusy           another tap reads into the same folder
├── ReadFailed          a query that broke; finished parts stay, nothing is staged
└── Drifted             a table that is not what was discovered any more

Stopped                 not an error: a reader leaves its range because the run ends, and nobody is told
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from singer_arrow.errors import Failure


class TapError(Failure):
    """Base of this package's errors."""


class ConnectionRefused(TapError):
    """Host, certificate, login or database: nothing was read."""

    SAFE = "Nothing was read"


class ReadFailed(TapError):
    """A query that broke; finished parts stay in the spool, nothing of the load is staged."""

    SAFE = "Finished ranges stay for the next run, nothing of this load is staged, Delta is as it was"


class SpoolBusy(TapError):
    """Another tap reads into the same folder."""

    SAFE = "Nothing was read"


class Drifted(TapError):
    """A table that is not what was discovered any more.

    `changes` says in words what is different. `successor` gives the request of a load that reads the table as it is now, and may
    raise ReadFailed; None for a table that is gone. `is_same_shape`: its columns are as they were, so that reading it again needs
    no setting.
    """

    def __init__(
        self,
        stream: str,
        table: str,
        changes: Sequence[str],
        successor: Callable[[], Any] | None,
        is_same_shape: bool = False,
    ) -> None:
        self.successor = successor
        self.is_same_shape = is_same_shape
        super().__init__(
            f"stream {stream}: {table} changed while it was read: {'; '.join(changes)}",
            action="run again to read the table as it is now, or set on_schema_drift to evolve",
        )


class Stopped(Exception):
    """A reader leaves its range because the run ends."""
