"""What the server answers instead of a result: number, severity and text as SQL Server words them."""

from __future__ import annotations

NOT_SUPPORTED = 40_515


class SqlError(Exception):
    """An ERROR token: the client stays connected.

    SqlError
    ├── NotSupported     the counterpart can't do this and says what
    └── (built by the functions below: 18456, 4060, 207, 208, …)
    """

    def __init__(self, number: int, message: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(message)
        self.number = number
        self.severity = severity
        self.state = state


class NotSupported(SqlError):
    """Refused by name, rather than answered wrongly."""

    def __init__(self, what: str) -> None:
        super().__init__(NOT_SUPPORTED, f"sandbox: {what} is not supported")


def login_failed(user: str) -> SqlError:
    """18456."""
    return SqlError(18_456, f"Login failed for user '{user}'.", severity=14)


def no_database(name: str) -> SqlError:
    """4060."""
    return SqlError(4_060, f'Cannot open database "{name}" requested by the login. The login failed.', severity=11)


def no_object(name: str) -> SqlError:
    """208."""
    return SqlError(208, f"Invalid object name '{name}'.")


def no_column(name: str) -> SqlError:
    """207."""
    return SqlError(207, f"Invalid column name '{name}'.")


def bad_syntax(near: str) -> SqlError:
    """102."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", severity=15)
