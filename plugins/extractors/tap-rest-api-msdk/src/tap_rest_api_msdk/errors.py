"""What can go wrong; every text says what happened, where, and what to do, and holds no secret.
A refused configuration is singer_arrow's SettingsRefused.

TapError
├── CredentialsRefused   401 or 403
├── ApiUnavailable       no connection, time out, 429 or 5xx for longer than the limits allow
├── AnswerRefused        an answer that is not what the settings describe
└── ShortLoad            the records received are not the records the API said it has
"""

from __future__ import annotations


class TapError(Exception):
    """Base of this tap's errors; the text is meant for the person who runs the pipeline."""


class CredentialsRefused(TapError):
    """The API answered 401 or 403."""


class ApiUnavailable(TapError):
    """The API could not be reached, or kept refusing, for longer than the limits allow."""


class AnswerRefused(TapError):
    """An answer that is not what the settings describe, or an HTTP error that waiting does not cure."""


class ShortLoad(TapError):
    """The records received are not the records the API said it has."""
