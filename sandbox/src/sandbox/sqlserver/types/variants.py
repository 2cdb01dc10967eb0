"""sql_variant: each value is kept as text, with its base type before it; and bytes of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.types import temporal
from sandbox.sqlserver.types.sql_types import BINARIES, STRINGS, TEMPORAL, SqlType

if TYPE_CHECKING:
    from sandbox.sqlserver.sql.expressions import Expressions
    from sandbox.sqlserver.sql.scope import Typed

_MARK = "chr(31)"


def of(scope: Expressions, value: Typed) -> str:
    """A value as a kept sql_variant."""
    kind = value.kind
    if kind is None:
        return "CAST(NULL AS VARCHAR)"
    style = 3 if kind.name in ("real", "float") else 1 if kind.name in BINARIES else 2 if "money" in kind.name else 121
    text = scope.as_text(value, SqlType("nvarchar", 4_000), style if kind.name not in STRINGS else None)
    return f"('{kind}' || {_MARK} || {text})"


def kept(kind: SqlType, text: str) -> str:
    """The kept value of a text of a base type."""
    return f"{kind}\x1f{text}"


def to(sql: str, target: SqlType) -> str:
    """CONVERT of a kept sql_variant to another type; NULL where its text is none of that type."""
    text = f"variant_text({sql})"
    if target.name in TEMPORAL:
        if target.name in ("time", "datetimeoffset"):
            raise NotSupported(f"sql_variant as {target}")
        return temporal.convert(f"text_ticks({text})", SqlType("datetime2", scale=7), target)
    if target.name == "uniqueidentifier":
        return f"guid_kept(upper({text}))"
    if target.name in BINARIES:
        return f"unhex(from_0x({text}))"
    return f"TRY_CAST({text} AS {target.store})"


def base_type(sql: str) -> str:
    """SQL_VARIANT_PROPERTY(…, 'BaseType')."""
    return f"regexp_extract({sql}, '^[a-z0-9]+')"


MACROS = [
    "CREATE OR REPLACE MACRO units16(s) AS CASE WHEN strlen(s) = length(s) THEN length(s) ELSE length(s) + "
    "len(regexp_extract_all(s, '[\\x{10000}-\\x{10FFFF}]')) END",
    "CREATE OR REPLACE MACRO variant_text(v) AS substring(v, instr(v, chr(31)) + 1)",
    "CREATE OR REPLACE MACRO from_0x(s) AS CASE WHEN s[1:2] IN ('0x', '0X') AND length(s) % 2 = 0 THEN substring(s, 3) "
    "ELSE error('sandbox finds no hexadecimal digits') END",
    "CREATE OR REPLACE MACRO float_text(s) AS regexp_replace(s, 'e([+-])(\\d\\d)$', 'e\\10\\2')",
    f"CREATE OR REPLACE MACRO text_ticks(s) AS CAST(CAST(s[1:10] AS DATE) - DATE '0001-01-01' AS BIGINT) * {temporal.DAY} "
    "+ coalesce(TRY_CAST(s[12:13] AS BIGINT), 0) * 36000000000 + coalesce(TRY_CAST(s[15:16] AS BIGINT), 0) * 600000000 "
    "+ coalesce(TRY_CAST(s[18:19] AS BIGINT), 0) * 10000000 "
    "+ coalesce(TRY_CAST(rpad(regexp_extract(s[20:], '^\\.(\\d{1,7})', 1), 7, '0') AS BIGINT), 0)",
    "CREATE OR REPLACE MACRO unit16(u) AS printf('%02X%02X', u % 256, u // 256)",
    "CREATE OR REPLACE MACRO utf16(s) AS CASE WHEN s = '' THEN ''::BLOB ELSE unhex(list_aggregate(list_transform("
    "string_split(s, ''), lambda c: CASE WHEN unicode(c) < 65536 THEN unit16(unicode(c)) ELSE "
    "unit16(55296 + (unicode(c) - 65536) // 1024) || unit16(56320 + (unicode(c) - 65536) % 1024) END), 'string_agg', '')) END",
    "CREATE OR REPLACE MACRO cp1252(s) AS CASE WHEN s = '' THEN ''::BLOB ELSE unhex(list_aggregate(list_transform("
    "string_split(latin1(s), ''), lambda c: printf('%02X', CASE WHEN unicode(c) < 256 THEN unicode(c) ELSE 63 END)), "
    "'string_agg', '')) END",
]
