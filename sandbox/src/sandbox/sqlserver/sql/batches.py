"""A batch of T-SQL cut into statements; those about the session itself are recognised without a parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot import TokenType
from sqlglot.dialects.tsql import TSQL
from sqlglot.errors import TokenError

from sandbox.sqlserver.errors import bad_syntax


@dataclass(frozen=True)
class SessionStatement:
    """A statement about the session: `what` says which, `value` its operand, `text` how it was sent."""

    what: str
    value: str = ""
    text: str = ""


_NAME = r"(?:\s+(?:\[[^\]]*\]|(?!SELECT\b|INSERT\b|UPDATE\b|DELETE\b)[A-Za-z_@#]\w*))?"
_SIMPLE = [
    (
        "isolation",
        r"SET\s+TRANSACTION\s+ISOLATION\s+LEVEL\s+(READ\s+UNCOMMITTED|READ\s+COMMITTED|REPEATABLE\s+READ"
        r"|SNAPSHOT|SERIALIZABLE)",
    ),
    ("implicit", r"SET\s+IMPLICIT_TRANSACTIONS\s+(ON|OFF)"),
    ("lock_timeout", r"SET\s+LOCK_TIMEOUT\s+(-?\d+)"),
    (
        "set",
        r"SET\s+(?:NOCOUNT|XACT_ABORT|ANSI_\w+|QUOTED_IDENTIFIER|ARITHABORT|ARITHIGNORE|CONCAT_NULL_YIELDS_NULL"
        r"|CURSOR_CLOSE_ON_COMMIT|NUMERIC_ROUNDABORT|FMTONLY\s+OFF|NO_BROWSETABLE)(?:\s+(ON|OFF))?",
    ),
    ("set", r"SET\s+(?:TEXTSIZE|DATEFIRST|DATEFORMAT|LANGUAGE|DEADLOCK_PRIORITY|QUERY_GOVERNOR_COST_LIMIT)\s+(-?\w+)"),
    ("begin", r"BEGIN\s+TRAN(?:SACTION)?\b" + _NAME),
    ("commit_if", r"IF\s+@@TRANCOUNT\s*>\s*0\s+COMMIT(?:\s+(?:TRAN(?:SACTION)?|WORK))?\b"),
    ("rollback_if", r"IF\s+@@TRANCOUNT\s*>\s*0\s+ROLLBACK(?:\s+(?:TRAN(?:SACTION)?|WORK))?\b"),
    ("commit", r"COMMIT\b(?:\s+(?:TRAN(?:SACTION)?|WORK)\b" + _NAME + ")?"),
    ("rollback", r"ROLLBACK\b(?:\s+(?:TRAN(?:SACTION)?|WORK)\b" + _NAME + ")?"),
    ("use", r"USE\s+(\[[^\]]+\]|\w+)"),
    ("kill", r"KILL\s+(\d+)"),
]
_PATTERNS = [(what, re.compile(r"\s*" + pattern + r"(?=\s|;|$)\s*", re.IGNORECASE)) for what, pattern in _SIMPLE]


def split(sql: str) -> list[SessionStatement | str]:
    """The statements of a batch in order; what is not about the session stays text for the parser.

    Raises SqlError 102 where the text cannot even be cut into tokens.
    """
    statements: list[SessionStatement | str] = []
    for chunk in _chunks(sql):
        rest = chunk
        while rest.strip():
            for what, pattern in _PATTERNS:
                found = pattern.match(rest)
                if found:
                    value = (found[1] or "") if found.re.groups else ""
                    value = value.strip("[]") if what == "use" else re.sub(r"\s+", " ", value).strip("[]").upper()
                    statements.append(SessionStatement(what, value, found[0].strip()))
                    rest = rest[found.end() :]
                    break
            else:
                statements.append(rest.strip())
                break
    return statements


def _chunks(sql: str) -> list[str]:
    """The text between semicolons, without comments around it; REAL becomes FLOAT(24), which the parser can tell from FLOAT."""
    # a backslash at a line's end continues a literal on the next line
    sql = sql.replace("\\\r\n", "").replace("\\\n", "")
    try:
        tokens = TSQL().tokenize(sql)
    except TokenError as error:
        raise bad_syntax(str(error)[:60]) from None
    chunks, current, at = [], "", -1
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            chunks.append(current)
            current, at = "", token.end + 1
            continue
        text = sql[token.start : token.end + 1]
        current += " " if at not in (-1, token.start) and current else ""
        current += "FLOAT(24)" if text.lower() == "real" else text
        at = token.end + 1
    return [*chunks, current]
