"""SQL Server's errors that a reader meets: which pass by themselves, and what to do about the others.

The driver hands over a message without the error's number, so a number is told by its message (sys.messages, English:
connection.py sets that language; logins are refused in the server's). Numbers: learn.microsoft.com, "Database engine events and
errors" and "Troubleshoot transient connection errors in Azure SQL Database".
"""

from __future__ import annotations

import re

from msgspec import Struct


class KnownError(Struct, frozen=True):
    """One error. `pause`: seconds to leave the server alone at least; `azure`: there it passes by itself."""

    number: int
    pattern: re.Pattern[str]
    transient: bool
    what: str
    advice: str
    pause: float = 0
    azure: bool = False


def _transient(number: int, pattern: str, what: str, pause: float = 0) -> KnownError:
    return KnownError(number, re.compile(pattern, re.I), True, what, "run again; it passes by itself", pause)


def _permanent(number: int, pattern: str, what: str, advice: str, azure: bool = False) -> KnownError:
    return KnownError(number, re.compile(pattern, re.I), False, what, advice, azure=azure)


_ROLE = "another replica is taking over"
_FULL = "the server is out of resources"

KNOWN_ERRORS: tuple[KnownError, ...] = (
    _transient(1205, r"deadlock victim", "the server ended this query as the victim of a deadlock"),
    _transient(1222, r"Lock request time out period exceeded", "rows stayed locked by other sessions"),
    _transient(3961, r"modified by a DDL statement in another concurrent transaction", "a table was altered during the snapshot"),
    _transient(3966, r"marked as victim when the version store", "tempdb had no room for the snapshot"),
    _transient(3958, r"Requested versioned row was not found", "tempdb had no room for the snapshot"),
    _transient(701, r"insufficient system memory", _FULL, 5),
    _transient(8645, r"timeout occurred while waiting for memory resources", _FULL, 5),
    _transient(596, r"session is in the kill state", "the session was killed"),
    _transient(6005, r"SHUTDOWN is in progress", "the server is shutting down"),
    _transient(18401, r"Server is in script upgrade mode", "the server is being upgraded", 5),
    _transient(921, r"has not been recovered yet", "the database is still starting", 1),
    _transient(983, r"replica is not in the PRIMARY or SECONDARY role", _ROLE, 1),
    _transient(4221, r"Login to read-secondary failed due to long wait", _ROLE, 1),
    _transient(40197, r"service has encountered an error processing your request", "Azure is moving the database", 1),
    _transient(40501, r"service is currently busy", "Azure is busy", 10),
    _transient(40613, r"Database .* on server .* is not currently available", "Azure is waking or moving the database", 1),
    _transient(49918, r"Not enough resources to process request", _FULL, 5),
    _transient(49919, r"Too many create or update operations in progress", "Azure is busy", 5),
    _transient(49920, r"Too many operations in progress for subscription", "Azure is busy", 5),
    _transient(10928, r"Resource ID: \d+\. The .* limit for the database is", "the database's limit is reached", 5),
    _transient(10929, r"Resource ID: \d+\. The .* minimum guarantee is", "the server is too busy for this database", 5),
    _permanent(
        18487,
        r"password of the account (has expired|must be changed)",
        "the password has expired",
        "set a new one, and TAP_MSSQL_PASSWORD",
    ),
    _permanent(18486, r"account is currently locked out", "the login is locked", "ask its administrator to unlock it"),
    _permanent(
        18452,
        r"login is from an untrusted domain",
        "the server does not trust this Windows login",
        "with authentication: kerberos use an account of a domain that the server trusts, and see that its service principal "
        "name belongs to the account it runs as; or use a SQL or Entra login",
    ),
    _permanent(
        18456,
        r"Login failed for user",
        "the login was refused",
        "check TAP_MSSQL_USER and TAP_MSSQL_PASSWORD, or TAP_MSSQL_CLIENT_ID and TAP_MSSQL_CLIENT_SECRET; a Windows account "
        "needs CREATE LOGIN [DOMAIN\\name] FROM WINDOWS",
    ),
    _permanent(
        40615,
        r"is not allowed to access the server",
        "Azure's firewall refuses this address",
        "allow this machine's address in the server's firewall",
    ),
    _permanent(40532, r"Cannot open server", "Azure knows no such server", "check TAP_MSSQL_HOST"),
    _permanent(
        4060,
        r"Cannot open database",
        "the database does not exist or this login may not open it",
        "check TAP_MSSQL_DATABASE",
        azure=True,
    ),
    _permanent(
        978,
        r"accessible for connections when the application intent is set to read only",
        "this replica serves readers only",
        "set application_intent to ReadOnly",
    ),
    _permanent(
        3952,
        r"snapshot isolation is not allowed in this database",
        "the database does not allow SNAPSHOT isolation",
        "set snapshot to auto, or ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON",
    ),
    _permanent(
        230,
        r"permission was denied on the column",
        "a column may not be read",
        "GRANT SELECT on it, deselect it, or set on_unreadable to skip",
    ),
    _permanent(229, r"permission was denied", "this login lacks a permission", "GRANT SELECT to it, or deselect the stream"),
    _permanent(4413, r"because of binding errors", "the view is broken at the server", "repair the view, or deselect the stream"),
    _permanent(297, r"not have permission to perform this action", "this login lacks a permission", "ask for it at the server"),
    _permanent(208, r"Invalid object name", "the table does not exist, or no longer", "discover again, or deselect the stream"),
    _permanent(207, r"Invalid column name", "the column does not exist, or no longer", "discover again, or deselect the column"),
    _permanent(
        1105,
        r"Could not allocate space",
        "the server's disk is full",
        "ask its administrator to make room, most likely in tempdb",
    ),
    _permanent(
        102,
        r"Incorrect syntax near",
        "the server does not accept this statement",
        "report this as a bug, with the server's version",
    ),
    _permanent(
        8114,
        r"Conversion failed|Error converting|Arithmetic overflow|out-of-range value",
        "the server cannot convert a value",
        "correct the value or the computed column or view that converts it, or deselect the column",
    ),
)
