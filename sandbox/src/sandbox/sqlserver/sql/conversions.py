"""CAST, CONVERT and SQL Server's implicit conversions, as DuckDB expressions."""

from __future__ import annotations

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql import temporal_expressions
from sandbox.sqlserver.sql.scope import Typed, is_text
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.types.sql_types import (
    BINARIES,
    DECIMALS,
    INTEGERS,
    MAX,
    STRINGS,
    TEMPORAL,
    TEXT_ONLY,
    WIDE,
    SqlType,
)


def coerce(statement: Statement, value: Typed, target: SqlType) -> str:
    """A DuckDB expression that converts a value to another type's stored form."""
    source = value.kind
    if source is None:
        return f"CAST({value.sql} AS {target.store})"
    if target.name == "sql_variant" and source.name != "sql_variant":
        return to_variant(statement, value)
    if value.constant:
        try:
            return statement.constant(value, target)
        except NotSupported:
            if source.name not in BINARIES:
                raise
    if source.name in TEMPORAL and target.name in TEMPORAL:
        return temporal_expressions.convert(value.sql, source, target)
    if source.name == target.name and source.name not in DECIMALS:
        return value.sql
    if source.name in STRINGS and target.name in STRINGS:
        return value.sql
    if source.name in STRINGS and target.name in ("date", "datetime", "smalldatetime", "datetime2"):
        return temporal_expressions.convert(f"text_ticks({value.sql})", SqlType("datetime2", scale=7), target)
    if source.name in STRINGS and target.name == "uniqueidentifier":
        return f"guid_stored(upper({value.sql}))"
    if source.name in STRINGS and (target.name in TEMPORAL or target.name in BINARIES):
        raise NotSupported(f"converting a column or expression of {source} to {target}")
    if source.name in BINARIES and target.name in BINARIES:
        return value.sql
    if source.name in BINARIES and target.name in INTEGERS:
        return f"CAST(CAST('0x' || hex({value.sql}) AS UBIGINT)::BIT::BIGINT AS {target.store})"
    if source.name in INTEGERS and target.name in BINARIES:
        width = target.length if 0 < target.length <= 8 else 8
        return f"unhex(right(printf('%016X', CAST({value.sql} AS BIGINT)), {2 * width}))"
    if source.name in (*BINARIES, *TEMPORAL, "uniqueidentifier") or target.name in (*BINARIES, *TEMPORAL):
        raise NotSupported(f"converting {source} to {target}")
    if source.name in DECIMALS and target.name in INTEGERS:
        return f"CAST(trunc({value.sql}) AS {target.store})"
    return f"CAST({value.sql} AS {target.store})"


def to_binary(statement: Statement, inner: Typed, target: SqlType, style: int | None) -> str:
    """CONVERT to binary, cut or zero-padded to its length; styles 1 and 2 read text as hexadecimal digits."""
    if is_text(inner.kind) and inner.kind is not None:
        if style in (1, 2):
            digits = inner.sql if style == 2 else f"from_0x({inner.sql})"
            sql = f"unhex({digits})"
        else:
            sql = f"utf16({inner.sql})" if inner.kind.name in WIDE else f"cp1252({inner.sql})"
    else:
        sql = coerce(statement, inner, target)
    if (inner.kind is not None and inner.kind.name in INTEGERS) or target.length <= 0:
        return sql
    if target.name == "binary":
        return f"unhex(rpad(left(hex({sql}), {2 * target.length}), {2 * target.length}, '0'))"
    return f"unhex(left(hex({sql}), {2 * target.length}))"


def to_text(statement: Statement, inner: Typed, target: SqlType, style: int | None) -> str:
    """CONVERT to text."""
    kind, sql = inner.kind, inner.sql
    if kind is not None and kind.name == "sql_variant":
        sql = f"variant_text({sql})"
    elif inner.constant and (kind is None or kind.name in STRINGS):
        sql = statement.constant(inner, SqlType("nvarchar", MAX)) if kind else "CAST(NULL AS VARCHAR)"
    elif kind is None or kind.name in TEXT_ONLY or kind.name in INTEGERS[1:]:
        sql = f"CAST({sql} AS VARCHAR)"
    elif kind.name in TEMPORAL:
        sql = temporal_expressions.to_text(sql, kind, style)
    elif kind.name == "uniqueidentifier":
        sql = f"guid_text({sql})"
    elif kind.name in BINARIES:
        if style not in (1, 2):
            raise NotSupported(f"CONVERT of {kind} to text without style 1 or 2")
        sql = f"'0x' || hex({sql})" if style == 1 else f"hex({sql})"
    elif kind.name in ("money", "smallmoney"):
        sql = f"CAST({sql} AS VARCHAR)" if style in (2, 126) else f"CAST(CAST({sql} AS DECIMAL(19,2)) AS VARCHAR)"
    elif kind.name == "bit":
        sql = f"CAST(CAST({sql} AS INTEGER) AS VARCHAR)"
    elif kind.name in ("real", "float"):
        exact = "%.8e" if kind.name == "real" else "%.16e"
        layout = {None: "%.6g", 0: "%.6g", 1: "%.7e", 2: "%.15e", 3: exact}.get(style)
        if layout is None:
            raise NotSupported(f"style {style} of CONVERT from {kind}")
        sql = f"float_text(printf('{layout}', {sql}))"
    elif kind.name in DECIMALS:
        sql = f"CAST({sql} AS VARCHAR)"
    if target.name in ("char", "nchar"):
        return f"padded({sql}, {target.length})"
    return sql if target.length in (0, MAX) or target.length >= 4_000 else f"left({sql}, {target.length})"


def to_variant(statement: Statement, value: Typed) -> str:
    """A value as a stored sql_variant."""
    kind = value.kind
    if kind is None:
        return "CAST(NULL AS VARCHAR)"
    style = 3 if kind.name in ("real", "float") else 1 if kind.name in BINARIES else 2 if "money" in kind.name else 121
    text = to_text(statement, value, SqlType("nvarchar", 4_000), style if kind.name not in STRINGS else None)
    return f"('{kind}' || chr(31) || {text})"


def from_variant(sql: str, target: SqlType) -> str:
    """CONVERT of a stored sql_variant to another type; NULL where its text is not of that type."""
    text = f"variant_text({sql})"
    if target.name in TEMPORAL:
        if target.name in ("time", "datetimeoffset"):
            raise NotSupported(f"sql_variant as {target}")
        return temporal_expressions.convert(f"text_ticks({text})", SqlType("datetime2", scale=7), target)
    if target.name == "uniqueidentifier":
        return f"guid_stored(upper({text}))"
    if target.name in BINARIES:
        return f"unhex(from_0x({text}))"
    return f"TRY_CAST({text} AS {target.store})"


def variant_base_type(sql: str) -> str:
    """SQL_VARIANT_PROPERTY(…, 'BaseType')."""
    return f"regexp_extract({sql}, '^[a-z0-9]+')"
