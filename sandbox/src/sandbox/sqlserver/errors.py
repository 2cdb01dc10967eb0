"""Errors the server sends: number, severity, state and text as SQL Server has them."""

from __future__ import annotations

NOT_SUPPORTED = 40_515
# these end the transaction they hit
_ABORTING = frozenset({1205, 3952, 3960, 3961, 8645, 701, 9002})


class SqlError(Exception):
    """An ERROR token: the client stays connected, unless the error is of class 20 or above.

    SqlError
    ├── NotSupported     the sandbox cannot do this, and names what
    └── (built by the functions below: 18456, 18452, 4060, 207, 208, …)
    """

    def __init__(self, number: int, message: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(message)
        self.number = number
        self.severity = severity
        self.state = state
        self.fatal = severity >= 20

    @property
    def aborts(self) -> bool:
        """Whether the open transaction is rolled back with it."""
        return self.number in _ABORTING


class NotSupported(SqlError):
    """A statement that is refused, by name, rather than answered wrongly."""

    def __init__(self, what: str) -> None:
        super().__init__(NOT_SUPPORTED, f"sandbox: {what} is not supported")


# number: (class, state, text); {database} is filled in
_KNOWN = {
    102: (15, 1, "Incorrect syntax near 'sandbox'."),
    207: (16, 1, "Invalid column name 'sandbox'."),
    208: (16, 1, "Invalid object name 'sandbox'."),
    229: (14, 5, "The SELECT permission was denied on the object 'sandbox', database '{database}', schema 'dbo'."),
    230: (
        14,
        1,
        "The SELECT permission was denied on the column 'c' of the object 'sandbox', database '{database}', schema 'dbo'.",
    ),
    596: (21, 1, "Cannot continue the execution because the session is in the kill state."),
    601: (12, 3, "Could not continue scan with NOLOCK due to data movement."),
    701: (17, 123, "There is insufficient system memory in resource pool 'default' to run this query."),
    824: (
        24,
        2,
        "SQL Server detected a logical consistency-based I/O error: incorrect checksum (expected: 0x1; actual: 0x2). It "
        "occurred during a read of page (1:368) in database ID 5 at offset 0x2e0000 in file 'sandbox.mdf'.",
    ),
    983: (
        14,
        1,
        "Unable to access availability database '{database}' because the database replica is not in the PRIMARY or SECONDARY "
        "role. Connections to an availability database is permitted only when the database replica is in the PRIMARY or "
        "SECONDARY role. Try the operation again later.",
    ),
    1205: (
        13,
        51,
        "Transaction (Process ID 52) was deadlocked on lock resources with another process and has been chosen as the deadlock "
        "victim. Rerun the transaction.",
    ),
    1222: (16, 45, "Lock request time out period exceeded."),
    3952: (
        16,
        1,
        "Snapshot isolation transaction failed accessing database '{database}' because snapshot isolation is not allowed in "
        "this database. Use ALTER DATABASE to allow snapshot isolation.",
    ),
    3960: (
        16,
        2,
        "Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table "
        "'sandbox' directly or indirectly in database '{database}' to update, delete, or insert the row that has been modified "
        "or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete "
        "statement.",
    ),
    3961: (
        16,
        1,
        "Snapshot isolation transaction failed in database '{database}' because the object accessed by the statement has been "
        "modified by a DDL statement in another concurrent transaction since the start of this transaction.  It is disallowed "
        "because the metadata is not versioned. A concurrent update to metadata can lead to inconsistency if mixed with "
        "snapshot isolation.",
    ),
    4060: (11, 1, 'Cannot open database "{database}" requested by the login. The login failed.'),
    8645: (
        17,
        1,
        "A timeout occurred while waiting for memory resources to execute the query in resource pool 'default' (2). "
        "Rerun the query.",
    ),
    9002: (17, 2, "The transaction log for database '{database}' is full due to 'LOG_BACKUP'."),
    10928: (
        20,
        1,
        "Resource ID: 1. The request limit for the database is 90 and has been reached. See "
        "'https://go.microsoft.com/fwlink/?LinkId=267637' for assistance.",
    ),
    10929: (
        20,
        1,
        "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 90 and the current usage for the database is 90. "
        "However, the server is currently too busy to support requests greater than 0 for this database. See "
        "'https://go.microsoft.com/fwlink/?LinkId=267637' for assistance. Otherwise, please try again later.",
    ),
    18456: (14, 1, "Login failed for user 'reader'."),
    40197: (17, 1, "The service has encountered an error processing your request. Please try again. Error code 4221."),
    40501: (
        20,
        1,
        "The service is currently busy. Retry the request after 10 seconds. Incident ID: "
        "11111111-2222-3333-4444-555555555555. Code: 0.",
    ),
    40613: (
        17,
        1,
        "Database '{database}' on server 'SANDBOX' is not currently available. Please retry the connection later. If the problem "
        "persists, contact customer support, and provide them the session tracing ID of "
        "'{{11111111-2222-3333-4444-555555555555}}'.",
    ),
    49918: (
        16,
        1,
        "Cannot process request. Not enough resources to process request. The service is currently busy. Please retry the "
        "request later.",
    ),
    49919: (
        16,
        1,
        'Cannot process create or update request. Too many create or update operations in progress for subscription "sandbox". '
        "Please retry the request later.",
    ),
    49920: (
        16,
        1,
        'Cannot process request. Too many operations in progress for subscription "sandbox". The service is busy. Please retry '
        "the request later.",
    ),
}


def known(number: int, database: str) -> SqlError:
    """An error by its number, with SQL Server's severity, state and text; a generic text for an unknown number."""
    severity, state, text = _KNOWN.get(number, (16, 1, f"Error {number} of the sandbox."))
    return SqlError(number, text.format(database=database), severity, state)


def login_failed(user: str) -> SqlError:
    """18456: login failed."""
    return SqlError(18_456, f"Login failed for user '{user}'.", severity=14)


def untrusted_domain() -> SqlError:
    """18452: an integrated login that nothing proves."""
    text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication."
    return SqlError(18_452, text, severity=14)


def no_database(name: str) -> SqlError:
    """4060: no such database."""
    return SqlError(4_060, f'Cannot open database "{name}" requested by the login. The login failed.', severity=11)


def no_object(name: str) -> SqlError:
    """208: no such table or view."""
    return SqlError(208, f"Invalid object name '{name}'.")


def no_column(name: str) -> SqlError:
    """207: no such column."""
    return SqlError(207, f"Invalid column name '{name}'.")


def bad_syntax(near: str) -> SqlError:
    """102: syntax error."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", severity=15)
