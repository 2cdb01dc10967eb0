"""SQL that a person writes into a setting: whether it is one piece that can be put in parentheses. Pure text."""

from __future__ import annotations

import re

# What begins at a place of the text: a literal or a delimited name to its end, or a single character.
_PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[(?:[^\]]|\]\])*\]|--|/\*|.", re.DOTALL)


def problem(text: str, what: str = "condition") -> str:
    """What keeps a text from being one piece of SQL, in words; empty text for nothing. Empty text is no condition."""
    depth = 0
    for piece in _PIECE.findall(text):
        if piece in ("--", "/*"):
            return "has a comment, which would swallow what follows it; remove it"
        if piece == ";":
            return f"is one {what}; ; is for statements"
        if piece in ("'", '"', "["):
            return f"has a {piece} that nothing closes"
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            break
    return "has parentheses that do not match" if depth else ""
