"""Values in the form in which DuckDB stores them (see `sql_types`): from Python, between types, and as DuckDB constants."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.types import guids, temporal
from sandbox.sqlserver.types.sql_types import BINARIES, DECIMALS, INTEGERS, STRINGS, TEMPORAL, SqlType


@dataclass(frozen=True)
class Parameter:
    """A value that a client bound: its type, and the stored value."""

    kind: SqlType
    value: Any


def convert(value: Any, source: SqlType, target: SqlType) -> Any:
    """Converts a stored value from one type to another; None stays None.

    Raises SqlError (conversion failed) or NotSupported.
    """
    if value is None or source.name == target.name:
        return value
    if source.name in STRINGS:
        return _from_text(str(value), target)
    if source.name in TEMPORAL and target.name in TEMPORAL:
        return _between_times(value, source, target)
    if source.name in BINARIES and target.name in BINARIES:
        return value
    numbers = (*INTEGERS, *DECIMALS, "real", "float")
    if source.name in numbers and target.name in numbers:
        return _number(value, target)
    if source.name in numbers and target.name in STRINGS:
        return str(int(value) if source.name in INTEGERS else value)
    raise NotSupported(f"{source} as {target}")


def _from_text(text: str, target: SqlType) -> Any:
    if target.name in STRINGS:
        return text
    if target.name in TEMPORAL:
        return temporal.parse(text, target)
    if target.name == "uniqueidentifier":
        return guids.from_text(text)
    if target.name in BINARIES:
        return text.encode("cp1252", "replace")
    try:
        return _number(Decimal(text.strip() or "0"), target)
    except (InvalidOperation, OverflowError):
        raise SqlError(8114, f"Error converting data type varchar to {target.name}.") from None


def _number(value: Any, target: SqlType) -> Any:
    if target.name == "bit":
        return bool(value)
    if target.name in INTEGERS:
        return int(value)
    if target.name in ("real", "float"):
        return float(value)
    return Decimal(value)


def _between_times(value: Any, source: SqlType, target: SqlType) -> Any:
    local, offset = temporal.local_ticks(value, source)
    return temporal.store(local, offset, target)


def literal(value: Any, kind: SqlType) -> str:
    """A stored value as a DuckDB constant."""
    if value is None:
        return f"CAST(NULL AS {kind.store})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"unhex('{value.hex()}')"
    if isinstance(value, str):
        text = "'" + value.replace("'", "''") + "'"
        return text if kind.store == "VARCHAR" else f"CAST({text} AS {kind.store})"
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS {kind.store})"
    return f"CAST('{value:f}' AS {kind.store})" if isinstance(value, Decimal) else f"CAST('{value}' AS {kind.store})"


def variant(kind: SqlType, text: str) -> str:
    """The stored value of a sql_variant: its base type, then its text."""
    return f"{kind}\x1f{text}"
