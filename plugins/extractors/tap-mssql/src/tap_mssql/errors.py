"""What stops this tap.

TapError                exit 1, one message for people, no traceback
├── SettingsRefused     the configuration; every problem at once
├── ConnectionRefused   host, certificate, login or database: nothing was read
├── SelectionRefused    a stream, key or column that cannot be read as asked
└── ReadFailed          a query that broke; finished parts stay, nothing is staged
"""

from __future__ import annotations


class TapError(Exception):
    """Base of this package's errors; the text says what happened, where, what is safe, and what to do."""


class SettingsRefused(TapError):
    """The configuration; every problem at once."""


class ConnectionRefused(TapError):
    """Host, certificate, login or database: nothing was read."""


class SelectionRefused(TapError):
    """A stream, key or column that cannot be read as asked."""


class ReadFailed(TapError):
    """A query that broke; finished parts stay in the spool, nothing of the load is staged."""
