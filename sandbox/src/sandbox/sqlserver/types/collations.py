"""Collations: which names are known, and the key by which DuckDB compares text as SQL Server would.

Keys come from ICU (DuckDB's own): dictionary order with the strength the name asks for. ICU and Windows agree on letters,
digits and accents; they put some punctuation elsewhere. Trailing blanks never count. Below version 100 characters beyond
U+FFFF weigh nothing, so all emoji are equal there, as in SQL Server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.sqlserver.errors import NotSupported, SqlError

DEFAULT = "SQL_Latin1_General_CP1_CI_AS"
_NAME = re.compile(r"(SQL_Latin1_General_CP1|Latin1_General(?:_100)?)((?:_(?:BIN2?|C[IS]|A[IS]|KS|WS|SC|UTF8))+)", re.IGNORECASE)
# where cp1252 differs from Latin-1: its bytes decide a binary order of varchar
_CP1252 = "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0))
_LATIN1 = "".join(chr(byte) for byte in range(0x80, 0xA0) if bytes([byte]).decode("cp1252", "ignore"))


@dataclass(frozen=True)
class Collation:
    """What a collation tells apart."""

    name: str
    case: bool
    accents: bool
    binary: bool
    supplementary: bool
    utf8: bool

    @property
    def wire(self) -> bytes:
        """The five bytes of COLLATION in [MS-TDS] 2.2.5.1.2: LCID, flags and version, sort id."""
        if self.name.lower() == DEFAULT.lower():
            return bytes.fromhex("0904d00034")
        ignored = 0 if self.binary else 0xC | (not self.case) | (not self.accents) << 1
        flags = ignored | (0x20 if self.binary else 0) | (0x40 if self.utf8 else 0)
        return (0x0409 | flags << 20 | (2 if "_100" in self.name else 0) << 28).to_bytes(4, "little") + b"\0"


@lru_cache(256)
def collation(name: str) -> Collation:
    """A collation by its name. Raises SqlError 448 for no name at all, NotSupported for another language's."""
    found = _NAME.fullmatch(name)
    if found is None:
        if re.fullmatch(r"\w+_(C[IS]_A[IS](_\w+)?|BIN2?(_UTF8)?)", name, re.IGNORECASE):
            raise NotSupported(f"collation {name}")
        raise SqlError(448, f"Invalid collation '{name}'.")
    parts = set(found[2].upper().strip("_").split("_"))
    binary = bool(parts & {"BIN", "BIN2"})
    if not binary and not (parts & {"CI", "CS"} and parts & {"AI", "AS"}):
        raise SqlError(448, f"Invalid collation '{name}'.")
    return Collation(name, binary or "CS" in parts, binary or "AS" in parts, binary, "_100" in name or binary, "UTF8" in parts)


def key(sql: str, name: str, wide: bool) -> str:
    """A DuckDB expression that compares as the text does under the collation; `wide` for Unicode text."""
    found = collation(name)
    if found.binary:
        narrow = "" if wide or found.utf8 else "_1252"
        return f"key_bin{narrow}({sql})"
    strength = "primary" if not found.accents else "tertiary" if found.case else "secondary"
    # accents without case: ICU has no such strength below tertiary
    text = f"strip_accents({sql})" if found.case and not found.accents else sql
    strength = "tertiary" if found.case else strength
    return f"key_{strength}{'_100' if found.supplementary else ''}({text})"


def fold(sql: str, name: str) -> str:
    """Text for LIKE and CHARINDEX: without what the collation does not tell apart."""
    found = collation(name)
    text = sql if found.accents else f"strip_accents({sql})"
    return text if found.case else f"lower({text})"


_LOW = "replace(rtrim(s, ' '), chr(0), '')"
_BMP = f"CASE WHEN strlen(s) = length(s) THEN {_LOW} ELSE regexp_replace({_LOW}, '[\\x{{10000}}-\\x{{10FFFF}}]', '', 'g') END"
MACROS = [
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
