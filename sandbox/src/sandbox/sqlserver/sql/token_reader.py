"""Statements that the parser doesn't know, read word by word."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import TokenType
from sqlglot.dialects.tsql import TSQL

from sandbox.sqlserver.errors import bad_syntax


@dataclass(frozen=True)
class Word:
    """One word of a statement: its text without quotes, what it is, and where it stands."""

    text: str
    quoted: bool
    string: bool
    start: int
    end: int


class Words:
    """The words of a statement, from left to right. What isn't as expected raises SqlError 102."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        kinds = (TokenType.STRING, TokenType.NATIONAL_STRING)
        self._words = [
            Word(t.text, t.token_type is TokenType.IDENTIFIER, t.token_type in kinds, t.start, t.end + 1)
            for t in TSQL().tokenize(sql)
        ]
        self._at = 0

    @property
    def next(self) -> Word | None:
        """The word that comes next, None at the end."""
        return self._words[self._at] if self._at < len(self._words) else None

    def take(self) -> Word:
        """The next word, whatever it is."""
        word = self.next
        if word is None:
            raise bad_syntax(self.sql[-30:])
        self._at += 1
        return word

    def maybe(self, *texts: str) -> bool:
        """Takes these words if they come next, unquoted."""
        words = self._words[self._at : self._at + len(texts)]
        same = [word.text.upper() for word in words if not word.quoted and not word.string]
        if same != [text.upper() for text in texts]:
            return False
        self._at += len(texts)
        return True

    def need(self, *texts: str) -> None:
        """Takes these words."""
        if not self.maybe(*texts):
            raise bad_syntax(self.next.text if self.next else self.sql[-30:])

    def name(self) -> tuple[str, ...]:
        """A name of one or several parts; a part left out is empty."""
        parts = [self.take().text]
        while self.maybe("."):
            parts.append("" if self.next is not None and self.next.text == "." else self.take().text)
        return tuple(parts)

    def names(self) -> list[tuple[str, bool]]:
        """Names in brackets, each with whether DESC stands behind it."""
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
        word = self.next
        self._at = len(self._words)
        return self.sql[word.start :].strip() if word is not None else ""

    def end(self) -> None:
        """Raises SqlError 102 where something follows."""
        if self.next is not None:
            raise bad_syntax(self.next.text)
