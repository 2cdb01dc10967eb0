"""JSON taken apart without being decoded, in a loop instead of recursion: for text that msgspec does not take.

That is text nested deeper than its parser goes (some 1,000 levels), and the words NaN, Infinity and -Infinity, which are no JSON
and which Python's json module writes. Numbers and words that it cuts out are checked; of nested values only brackets and quotes.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

Found = TypeVar("Found")
_STRING, _BRACKET, _WORD = 1, 2, 3
_TOKEN = re.compile(rb'[ \t\r\n]*(?:("[^"\\]*(?:\\.[^"\\]*)*")|([][{},:])|([^][{},:"\s]+))', re.DOTALL)
_SCALAR = re.compile(rb"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null|NaN|-?Infinity")
_END = re.compile(rb"[ \t\r\n]*\Z")


class NotJson(ValueError):
    """Text whose brackets, commas and quotes are not those of a JSON value; its message says what is wrong."""


def members(text: bytes) -> dict[str, bytes]:
    """The members of an object: name → text of the value. Of members with one name the last counts. Raises NotJson."""
    found: dict[str, bytes] = {}
    at = _opened(text, b"{")
    while True:
        name = _TOKEN.match(text, at)
        if name and name[_BRACKET] == b"}" and not found:
            return _ended(text, name.end(), found)
        if name is None or name[_STRING] is None:
            raise NotJson(f"a name is missing at byte {at}")
        colon = _TOKEN.match(text, name.end())
        if colon is None or colon[_BRACKET] != b":":
            raise NotJson(f"a colon is missing at byte {name.end()}")
        value, at = _value(text, colon.end())
        found[_decoded(name[_STRING])] = value
        at, is_last = _next(text, at, b"}")
        if is_last:
            return _ended(text, at, found)


def items(text: bytes) -> list[bytes]:
    """The texts of the values of an array. Raises NotJson."""
    found: list[bytes] = []
    at = _opened(text, b"[")
    first = _TOKEN.match(text, at)
    if first and first[_BRACKET] == b"]":
        return _ended(text, first.end(), found)
    while True:
        value, at = _value(text, at)
        found.append(value)
        at, is_last = _next(text, at, b"]")
        if is_last:
            return _ended(text, at, found)


def _opened(text: bytes, bracket: bytes) -> int:
    first = _TOKEN.match(text)
    if first is None or first[_BRACKET] != bracket:
        raise NotJson(f"it does not begin with {bracket.decode()}")
    return first.end()


def _value(text: bytes, at: int) -> tuple[bytes, int]:
    """The text of the value that begins at a place, and where it ends."""
    token = _TOKEN.match(text, at)
    if token is None or (token[_BRACKET] is not None and token[_BRACKET] not in b"[{"):
        raise NotJson(f"a value is missing at byte {at}")
    begin = token.start(token.lastindex or 0)
    if token[_BRACKET] is None:
        if token[_WORD] is not None and not _SCALAR.fullmatch(token[_WORD]):
            raise NotJson(f"{token[_WORD][:40]!r} is no value")
        return text[begin : token.end()], token.end()
    open_brackets = [token[_BRACKET]]
    while open_brackets:
        token = _TOKEN.match(text, token.end())
        if token is None:
            raise NotJson(f"the value at byte {begin} does not end")
        if token[_BRACKET] in (b"[", b"{"):
            open_brackets.append(token[_BRACKET])
        elif token[_BRACKET] in (b"]", b"}") and open_brackets.pop() + token[_BRACKET] not in (b"[]", b"{}"):
            raise NotJson(f"brackets do not match at byte {token.start(_BRACKET)}")
    return text[begin : token.end()], token.end()


def _next(text: bytes, at: int, closing: bytes) -> tuple[int, bool]:
    """Where the next member or value begins, and whether there is none."""
    token = _TOKEN.match(text, at)
    if token is None or token[_BRACKET] not in (b",", closing):
        raise NotJson(f"a comma is missing at byte {at}")
    return token.end(), token[_BRACKET] == closing


def _ended(text: bytes, at: int, found: Found) -> Found:
    if not _END.match(text, at):
        raise NotJson(f"something follows its end at byte {at}")
    return found


def _decoded(name: bytes) -> str:
    try:
        return msgspec.json.decode(name, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotJson(f"the name {name[:40]!r} is no text: {error}") from None
