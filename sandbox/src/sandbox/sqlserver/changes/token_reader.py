"""Reads statements that the parser does not know, token by token."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import TokenType
from sqlglot.dialects.tsql import TSQL

from sandbox.sqlserver.errors import bad_syntax


@dataclass(frozen=True)
class Token:
    """One token of a statement: its text without quotes, what it is, and where it stands."""

    text: str
    quoted: bool
    string: bool
    start: int
    end: int


class TokenReader:
    """The tokens of a statement, from left to right. Raises SqlError 102 where a token is not the expected one."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        kinds = (TokenType.STRING, TokenType.NATIONAL_STRING)
        self._tokens = [
            Token(t.text, t.token_type is TokenType.IDENTIFIER, t.token_type in kinds, t.start, t.end + 1)
            for t in TSQL().tokenize(sql)
        ]
        self._at = 0

    @property
    def next(self) -> Token | None:
        """The token that comes next, None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self) -> Token:
        """The next token, whatever it is."""
        token = self.next
        if token is None:
            raise bad_syntax(self.sql[-30:])
        self._at += 1
        return token

    def maybe(self, *texts: str) -> bool:
        """Takes these tokens if they come next, unquoted."""
        tokens = self._tokens[self._at : self._at + len(texts)]
        same = [token.text.upper() for token in tokens if not token.quoted and not token.string]
        if same != [text.upper() for text in texts]:
            return False
        self._at += len(texts)
        return True

    def need(self, *texts: str) -> None:
        """Takes these tokens."""
        if not self.maybe(*texts):
            raise bad_syntax(self.next.text if self.next else self.sql[-30:])

    def name(self) -> tuple[str, ...]:
        """A name of one or several parts; a part left out is empty."""
        parts = [self.take().text]
        while self.maybe("."):
            parts.append("" if self.next is not None and self.next.text == "." else self.take().text)
        return tuple(parts)

    def names(self) -> list[tuple[str, bool]]:
        """Names in brackets, each with whether DESC follows it."""
        self.need("(")
        found = []
        while True:
            name = self.take().text
            found.append((name, self.maybe("DESC")))
            self.maybe("ASC")
            if not self.maybe(","):
                break
        self.need(")")
        return found

    def rest(self) -> str:
        """The text from here to the end."""
        token = self.next
        self._at = len(self._tokens)
        return self.sql[token.start :].strip() if token is not None else ""

    def end(self) -> None:
        """Raises SqlError 102 where something follows."""
        if self.next is not None:
            raise bad_syntax(self.next.text)
