"""Collations: which names are known, what each one distinguishes, and its bytes on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sandbox.sqlserver.errors import NotSupported, SqlError

DEFAULT = "SQL_Latin1_General_CP1_CI_AS"
_NAME = re.compile(r"(SQL_Latin1_General_CP1|Latin1_General(?:_100)?)((?:_(?:BIN2?|C[IS]|A[IS]|KS|WS|SC|UTF8))+)", re.IGNORECASE)


@dataclass(frozen=True)
class Collation:
    """What a collation distinguishes."""

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
    """A collation by its name. Raises SqlError 448 for an invalid name, NotSupported for a valid one that is not known here."""
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
