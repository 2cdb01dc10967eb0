"""DuckDB's errors as SQL Server's."""

from __future__ import annotations

import re

import duckdb

from sandbox.sqlserver.errors import SqlError, known
from sandbox.sqlserver.system.catalog import Catalog

_NULL = re.compile(r"NOT NULL constraint failed: t(\d+)\.c(\d+)")
_TOO_LONG = re.compile(r"sandbox truncates (.*)")


def translated(error: duckdb.Error, catalog: Catalog, isolation: str) -> SqlError:
    """The error that SQL Server would send; 50000 with DuckDB's text where there is none."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    null, long = _NULL.search(text), _TOO_LONG.search(text)
    if null:
        return _null(int(null[1]), int(null[2]), catalog)
    if long:
        message = f"String or binary data would be truncated in column '{long[1]}'."
        return SqlError(2628, message)
    if isinstance(error, duckdb.TransactionException):
        return known(3960 if isolation == "SNAPSHOT" else 1205, catalog.database)
    if "hex digit" in text or text.endswith("sandbox finds no hexadecimal digits"):
        return SqlError(8114, "Error converting data type varchar to varbinary.")
    if text.endswith("sandbox divides by zero"):
        return SqlError(8134, "Divide by zero error encountered.")
    if isinstance(error, duckdb.OutOfRangeException) or "out of range" in text:
        return SqlError(8115, "Arithmetic overflow error converting expression to data type numeric or int.")
    if isinstance(error, duckdb.ConversionException):
        return SqlError(245, f"Conversion failed: {text}")
    return SqlError(50_000, f"sandbox: {text}")


def rethrown(error: Exception) -> duckdb.Error:
    """DuckDB's own error behind one that Arrow raised while it read a result."""
    text = re.sub(r"^(?s:.*?)(?=[A-Z][A-Za-z ]+ Error: )", "", str(error))
    kind = {"Conversion Error": duckdb.ConversionException, "Out of Range Error": duckdb.OutOfRangeException}
    return kind.get(text.partition(":")[0], duckdb.Error)(text)


def _null(table: int, column: int, catalog: Catalog) -> SqlError:
    spec = next((spec for spec in catalog.specs.values() if spec.object_id == table), None)
    name = next((c.name for c in spec.columns if c.number == column), "") if spec is not None else ""
    where = f"{catalog.database}.{spec.full_name}" if spec is not None else ""
    return SqlError(
        515, f"Cannot insert the value NULL into column '{name}', table '{where}'; column does not allow nulls. INSERT fails."
    )
