"""Text as DuckDB expressions that compare as SQL Server compares it under a collation.

Keys come from ICU (DuckDB's own): dictionary order with the strength the name asks for. ICU and Windows agree on letters,
digits and accents; they put some punctuation elsewhere. Trailing blanks never count. Below version 100 characters beyond
U+FFFF weigh nothing, so all emoji are equal there, as in SQL Server.
"""

from __future__ import annotations

from sandbox.sqlserver.types.collations import collation


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
    """Text for LIKE and CHARINDEX, without the differences that the collation ignores."""
    found = collation(name)
    text = sql if found.accents else f"strip_accents({sql})"
    return text if found.case else f"lower({text})"
