"""What can go wrong with the API.

TapError
├── CredentialsRefused  401, or 403
├── ApiUnavailable      no answer, or one that says to come again, for longer than the limits allow
├── AnswerRefused       an answer that is not what the settings describe
├── ShortLoad           the records received are not the records that the API says it has
│   └── Moved           they moved while they were read, or seem to: they are read again
│       ├── Repeated    pages came again
│       ├── Overlap     a page does not begin with the last record of the one in front of it
│       └── Doubled     keys came more than once
└── Passing             of one try only: the client decides what becomes of it
    ├── NoAnswer        no connection, no answer in time
    ├── TooLarge        more than max_response_mb
    ├── Unreadable      an answer that is cut, or no JSON
    └── ToldError       an answer with status 200 that tells an error in the place of records
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


class Moved(ShortLoad):
    """The records moved while they were read, or seem to: they are read again, and it is said if that does not help."""


class Repeated(Moved):
    """Pages came again: that they do so twice is enough."""


class Overlap(Moved):
    """A page did not begin with the last record of the one in front of it."""

    ACTION = "run again when the API's data is at rest, and ask the API for an order that does not change (params)"


class Doubled(Moved):
    """Keys came more than once: others may be missing in their place."""

    ACTION = Overlap.ACTION


class Passing(Exception):
    """Why one try failed. It never leaves the client."""


class NoAnswer(Passing):
    """No connection, or no whole answer in time; `is_final` where another try would be the same."""

    def __init__(self, what: str, *, is_final: bool = False) -> None:
        super().__init__(what)
        self.is_final = is_final


class TooLarge(Passing):
    """An answer of more than max_response_mb."""


class Unreadable(Passing):
    """An answer that is cut, cannot be unpacked, or is no JSON: the next one may be whole."""


class ToldError(Passing):
    """An answer with status 200 that tells an error in the place of records."""
