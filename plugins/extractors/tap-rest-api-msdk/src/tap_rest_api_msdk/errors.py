"""What can go wrong; every text says what happened, where, and what to do, and holds no secret.
A refused configuration is singer_arrow's SettingsRefused.

TapError
├── CredentialsRefused   401 or 403
├── ApiUnavailable       no connection, time out, 429 or 5xx for longer than the limits allow
├── AnswerRefused        an answer that is not what the settings describe
└── ShortLoad            the records received are not the records the API said it has
"""

from __future__ import annotations

from singer_arrow.errors import Failure


class TapError(Failure):
    """Base of this tap's errors."""


class CredentialsRefused(TapError):
    """The API answered 401 or 403."""

    ACTION = "check API_USER and API_PASSWORD, or the settings of the auth_method in use"


class ApiUnavailable(TapError):
    """The API could not be reached, or kept refusing, for longer than the limits allow."""

    ACTION = (
        "check API_HOST and the network; run again when the API answers, or raise backoff_max_seconds and throttle_max_seconds"
    )


class AnswerRefused(TapError):
    """An answer that is not what the settings describe, or an HTTP error that waiting does not cure."""

    ACTION = "compare the stream's settings (path, params, records_path, total_path, schema) with what the API answers"


class ShortLoad(TapError):
    """The records received are not the records the API said it has."""

    ACTION = "run again when the API's data is at rest, and check pagination_initial_offset and total_path"
