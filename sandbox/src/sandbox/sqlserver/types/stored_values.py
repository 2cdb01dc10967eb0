"""Values a client sends, as constants or parameters, turned into what `types` keeps."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.types import temporal
from sandbox.sqlserver.types.sql_types import BINARIES, DECIMALS, INTEGERS, STRINGS, TEMPORAL, SqlType
from sandbox.sqlserver.wire.cells import GUID_WIRE

_GUID_SORTED = [GUID_WIRE.index(place) for place in range(16)]


def guid_sorted(wire: bytes) -> bytes:
    """A uniqueidentifier's wire bytes in the order SQL Server sorts them."""
    return bytes(wire[place] for place in _GUID_SORTED)


def guid_from_text(text: str) -> bytes:
    """Raises SqlError 8169."""
    try:
        return guid_sorted(uuid.UUID(text.strip()).bytes_le)
    except ValueError:
        raise SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.") from None


def convert(value: Any, source: SqlType, target: SqlType) -> Any:
    """A constant of one type as the kept value of another; None stays None.

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
        return guid_from_text(text)
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
    local, offset = local_ticks(value, source)
    return temporal.keep(local, offset, target)


def local_ticks(value: Any, kind: SqlType) -> tuple[int, int]:
    """A kept time as 100 ns of local time since 0001-01-01, and its offset in minutes."""
    if kind.name == "date":
        assert isinstance(value, dt.date)
        return (value.toordinal() - 1) * temporal.DAY, 0
    if kind.name == "time":
        return temporal.DAYS_1900 * temporal.DAY + value, 0
    if kind.name == "datetime":
        since = value + temporal.DAYS_1900 * 25_920_000
        return since // 3 * 100_000 + (since % 3 * 100_000 + 1) // 3, 0
    if kind.name == "smalldatetime":
        return (value + temporal.DAYS_1900 * 1_440) * 600_000_000, 0
    if kind.name == "datetimeoffset":
        offset = value % 4_096 - 2_048
        return value // 4_096 + offset * 600_000_000, offset
    return value, 0


def literal(value: Any, kind: SqlType) -> str:
    """A kept value as a DuckDB constant of the type's store."""
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
