"""What stops this tap.

TapError                exit 3, one message for people, no traceback; a refused configuration is singer_arrow's SettingsRefused
├── ConnectionRefused   host, certificate, login or database: nothing was read
├── SelectionRefused    exit 2: a stream, key or column that cannot be read as asked
├── SpoolBusy           another tap reads into the same folder
├── ReadFailed          a query that broke; finished parts stay, nothing is staged
├── Drifted             a table that is not what was discovered any more
├── SomeFailed          some streams failed, the others are staged
└── Stopped             reading ends because something else ended it; nobody is told
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_mssql.server.discovery import Table


class TapError(Exception):
    """Base of this package's errors; the text says what happened, where, what is safe, and what to do."""


class ConnectionRefused(TapError):
    """Host, certificate, login or database: nothing was read."""


class SelectionRefused(TapError):
    """A stream, key or column that cannot be read as asked."""


class ReadFailed(TapError):
    """A query that broke; finished parts stay in the spool, nothing of the load is staged."""


class SpoolBusy(TapError):
    """Another tap reads into the same folder."""


class Drifted(TapError):
    """A table that is not what was discovered any more: `told` says in words what changed, `now` what it is; None for gone."""

    def __init__(self, stream: str, known: Table, told: list[str], now: Table | None) -> None:
        self.happened = f"stream {stream}: {known.schema}.{known.name} changed while it was read: {'; '.join(told)}."
        self.now = now
        super().__init__(
            f"{self.happened} Nothing of this load is staged, Delta is as it was. Run again to read the table as it is now, "
            "or set on_schema_drift to evolve."
        )


class SomeFailed(TapError):
    """Some streams failed; the text names them, and what is safe."""


class Stopped(TapError):
    """Reading ends because something else ended it; nobody is told."""
