"""The DuckDB macros that compiled statements call; `MACROS` creates them."""

from __future__ import annotations

from sandbox.sqlserver.types.temporal import DAY, DAYS_1900

# where cp1252 differs from Latin-1: its bytes decide a binary order of varchar
_CP1252 = "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0))
_LATIN1 = "".join(chr(byte) for byte in range(0x80, 0xA0) if bytes([byte]).decode("cp1252", "ignore"))
_LOW = "replace(rtrim(s, ' '), chr(0), '')"
_BMP = f"CASE WHEN strlen(s) = length(s) THEN {_LOW} ELSE regexp_replace({_LOW}, '[\\x{{10000}}-\\x{{10FFFF}}]', '', 'g') END"
_TEMPORAL = [
    f"CREATE OR REPLACE MACRO datetime_ticks(v) AS ((v + {DAYS_1900 * 25_920_000}) // 3) * 100000 "
    f"+ (((v + {DAYS_1900 * 25_920_000}) % 3) * 100000 + 1) // 3",
    "CREATE OR REPLACE MACRO offset_ticks(v) AS CAST(v // 4096 AS BIGINT) + (CAST(v % 4096 AS BIGINT) - 2048) * 600000000",
    f"CREATE OR REPLACE MACRO ticks_date(t) AS DATE '0001-01-01' + CAST(t // {DAY} AS INTEGER)",
    f"CREATE OR REPLACE MACRO ticks_datetime(t) AS (t // {DAY} - {DAYS_1900}) * 25920000 + ((t % {DAY}) * 3 + 50000) // 100000",
    "CREATE OR REPLACE MACRO time_text(r, digits) AS printf('%02d:%02d:%02d', r // 36000000000, "
    "r // 600000000 % 60, r // 10000000 % 60) || CASE WHEN digits > 0 THEN '.' || left(printf('%07d', "
    "CASE WHEN digits = 3 THEN (r % 10000000 + 5000) // 10000 * 10000 ELSE r % 10000000 END), digits) ELSE '' END",
    f"CREATE OR REPLACE MACRO ticks_text(t, separator, digits) AS CAST(ticks_date(t) AS VARCHAR) || separator "
    f"|| time_text(t % {DAY}, digits)",
    "CREATE OR REPLACE MACRO offset_text(v) AS CASE WHEN v % 4096 < 2048 THEN '-' ELSE '+' END "
    "|| printf('%02d:%02d', abs(CAST(v % 4096 AS BIGINT) - 2048) // 60, abs(CAST(v % 4096 AS BIGINT) - 2048) % 60)",
]
_GUIDS = [
    "CREATE OR REPLACE MACRO guid_hex(h) AS h[31:32] || h[29:30] || h[27:28] || h[25:26] || '-' || h[23:24] || h[21:22] "
    "|| '-' || h[19:20] || h[17:18] || '-' || h[13:16] || '-' || h[1:12]",
    "CREATE OR REPLACE MACRO guid_text(b) AS guid_hex(hex(b))",
    "CREATE OR REPLACE MACRO guid_stored(g) AS unhex(g[25:36] || g[20:23] || g[17:18] || g[15:16] || g[12:13] || g[10:11] "
    "|| g[7:8] || g[5:6] || g[3:4] || g[1:2])",
]
_COLLATIONS = [
    *(
        f"CREATE OR REPLACE MACRO key_{strength}{suffix}(s) AS icu_sort_key({text}, 'en@colStrength={strength}')"
        for strength in ("primary", "secondary", "tertiary")
        for suffix, text in (("", _BMP), ("_100", _LOW))
    ),
    # blanks are what the shorter text is padded with
    "CREATE OR REPLACE MACRO key_bin(s) AS encode(rtrim(s, ' ') || repeat(' ', 16))",
    f"CREATE OR REPLACE MACRO latin1(s) AS translate(s, '{_CP1252}', '{_LATIN1}')",
    "CREATE OR REPLACE MACRO key_bin_1252(s) AS encode(latin1(rtrim(s, ' ')) || repeat(' ', 16))",
    # the shorter of two binary values is padded with zeros
    "CREATE OR REPLACE MACRO key_binary(b) AS unhex(regexp_replace(hex(b), '(00)+$', ''))",
]
_TEXT = [
    "CREATE OR REPLACE MACRO units16(s) AS CASE WHEN strlen(s) = length(s) THEN length(s) ELSE length(s) + "
    "len(regexp_extract_all(s, '[\\x{10000}-\\x{10FFFF}]')) END",
    "CREATE OR REPLACE MACRO variant_text(v) AS substring(v, instr(v, chr(31)) + 1)",
    "CREATE OR REPLACE MACRO from_0x(s) AS CASE WHEN s[1:2] IN ('0x', '0X') AND length(s) % 2 = 0 THEN substring(s, 3) "
    "ELSE error('sandbox finds no hexadecimal digits') END",
    "CREATE OR REPLACE MACRO float_text(s) AS regexp_replace(s, 'e([+-])(\\d\\d)$', 'e\\10\\2')",
    f"CREATE OR REPLACE MACRO text_ticks(s) AS CAST(CAST(s[1:10] AS DATE) - DATE '0001-01-01' AS BIGINT) * {DAY} "
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
    # lengths count UTF-16 units, of which an emoji has two
    "CREATE OR REPLACE MACRO padded(s, n) AS rpad(s, CAST(n - (units16(s) - length(s)) AS INTEGER), ' ')",
    "CREATE OR REPLACE MACRO fit_text(s, n, c) AS CASE WHEN strlen(s) <= n THEN s WHEN units16(rtrim(s, ' ')) > n "
    "THEN error('sandbox truncates ' || c) ELSE left(s, n - (units16(s) - length(s))) END",
    "CREATE OR REPLACE MACRO fit_binary(b, n, c) AS CASE WHEN octet_length(b) > n THEN encode(error('sandbox truncates ' || c)) "
    "ELSE unhex(rpad(hex(b), 2 * n, '0')) END",
]
MACROS = [*_TEMPORAL, *_GUIDS, *_COLLATIONS, *_TEXT]
