"""What stops this tap.

TapError                exit 3, one message for people, no traceback; a refused configuration is singer_arrow's SettingsRefused
├── ConnectionRefused   host, certificate, login or database: nothing was read
├── SelectionRefused    exit 2: a stream, key or column that cannot be read as asked
├── SpoolBusy           another tap reads into the same folder
├── ReadFailed          a query that broke; finished parts stay, nothing is staged
├── Drifted             a table that is not what was discovered any more
└── SomeFailed          some streams failed, the others are staged

Stopped                 not an error: a reader leaves its range because the run ends, and nobody is told
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar


class TapError(Exception):
    """Base of this package's errors. The text is made of `what` happened and where, what is `safe`, and what to do (`action`)."""

    KEPT: ClassVar[str] = "Nothing of this load is staged"

    def __init__(self, what: str, *, action: str, safe: str | None = None) -> None:
        self.what = what.rstrip(". ")
        self.safe = self.KEPT if safe is None else safe
        self.action = action.rstrip(". ")
        between = "\n" if "\n" in self.what else ". "
        super().__init__(f"{self.what}{between}{self.safe}. What to do: {self.action}.")


class ConnectionRefused(TapError):
    """Host, certificate, login or database: nothing was read."""

    KEPT = "Nothing was read"


class SelectionRefused(TapError):
    """A stream, key or column that cannot be read as asked."""

    KEPT = "Nothing was read"


class ReadFailed(TapError):
    """A query that broke; finished parts stay in the spool, nothing of the load is staged."""

    KEPT = "Finished ranges stay for the next run, nothing of this load is staged, Delta is as it was"


class SpoolBusy(TapError):
    """Another tap reads into the same folder."""

    KEPT = "Nothing was read"


class Drifted(TapError):
    """A table that is not what was discovered any more.

    `changes` says in words what is different. `successor` gives the request of a load that reads the table as it is now, and may
    raise ReadFailed; None for a table that is gone.
    """

    KEPT = "Nothing of this load is staged, Delta is as it was"

    def __init__(self, stream: str, table: str, changes: Sequence[str], successor: Callable[[], Any] | None) -> None:
        self.successor = successor
        super().__init__(
            f"stream {stream}: {table} changed while it was read: {'; '.join(changes)}",
            action="run again to read the table as it is now, or set on_schema_drift to evolve",
        )


class SomeFailed(TapError):
    """Some streams failed; the text names them, and what is safe."""


class Stopped(Exception):
    """A reader leaves its range because the run ends."""
