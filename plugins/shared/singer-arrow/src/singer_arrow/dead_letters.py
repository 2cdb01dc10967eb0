"""Dead letters: records that a stream's schema does not hold, put aside so that the rest goes on (docs/contracts.md)."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from singer_arrow import durable, json_text, names
from singer_arrow.errors import TooManyDeadLetters

_NAMED = 3  # records that a message names
_MASK = msgspec.Raw(b'"***"')


class Rejected(Protocol):
    """What is known of a rejected record (`singer_arrow.converter.Rejection`): `index` counts from 0."""

    @property
    def index(self) -> int: ...  # noqa: D102
    @property
    def field(self) -> str | None: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def record(self) -> bytes: ...  # noqa: D102


class DeadLetter(msgspec.Struct, kw_only=True):
    """One line of the file. `position` counts from 1, on the page or, where there are no pages, among the stream's records."""

    load_id: str
    stream: str
    page: int | None
    position: int
    field: str | None
    reason: str
    record: msgspec.Raw


class _Place(msgspec.Struct):
    page: int | None = None


class _Named(NamedTuple):
    page: int | None
    position: int
    field: str | None
    reason: str

    def __str__(self) -> str:
        page = "" if self.page is None else f"page {self.page}, "
        field = "" if self.field is None else f", {self.field}"
        return f"{page}record {self.position}{field}: {self.reason}"


class DeadLetters:
    """The dead letters of one load, in `<root>/_dead_letters/<load_id>.jsonl`; `count` are those in the file.

    The file is there from the first one on, with mode 0600, and whole up to its last line: each `take` is durable when it
    returns. `secret` fields are masked in the records.
    """

    def __init__(self, root: Path, load_id: str, stream: str, limit: int = 0, secret: Collection[str] = ()) -> None:
        self.path = root / names.dead_letters(load_id)
        self.count = 0
        self._load_id, self._stream, self._limit = load_id, stream, limit
        self._secret = frozenset(secret)
        self._first: list[_Named] = []

    def take(self, rejected: Sequence[Rejected], page: int | None = None, first: int = 1) -> None:
        """Puts records aside; `first` is the position of the record with index 0.

        Raises TooManyDeadLetters when there are more than the limit then; they are in the file all the same.
        """
        if not rejected:
            return
        letters = [
            DeadLetter(
                load_id=self._load_id,
                stream=self._stream,
                page=page,
                position=first + each.index,
                field=each.field,
                reason=each.reason,
                record=masked(each.record, self._secret),
            )
            for each in rejected
        ]
        self._append(b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters))
        self.count += len(letters)
        self._first += [_Named(x.page, x.position, x.field, x.reason) for x in letters[: _NAMED - len(self._first)]]
        if self.count > self._limit:
            raise self._too_many()

    def mask(self, secret: Collection[str]) -> None:
        """Masks these fields, too, from now on."""
        self._secret |= frozenset(secret)

    def resume(self, pages: Collection[int]) -> None:
        """Goes on with the file of an earlier run: keeps the lines of these pages, and what is whole of them."""
        if not self.path.exists():
            return
        kept = [line for line in self.path.read_bytes().split(b"\n")[:-1] if _page(line) in pages]
        self.discard()
        if kept:
            self._append(b"".join(line + b"\n" for line in kept))
        self.count = len(kept)

    def discard(self) -> None:
        """Removes the file, of a load that is given up or begins again."""
        self.path.unlink(missing_ok=True)
        self.count = 0

    def _append(self, lines: bytes) -> None:
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            durable.sync_folder(self.path.parent)

    def _too_many(self) -> TooManyDeadLetters:
        told = "; ".join(map(str, self._first)) + (f"; and {self.count - len(self._first)} more" if self.count > _NAMED else "")
        records = "1 record does" if self.count == 1 else f"{self.count} records do"
        return TooManyDeadLetters(
            f"stream {self._stream}: {records} not fit its schema, and max_dead_letters is {self._limit}: {told}",
            safe=f"They are in {self.path}; nothing of this load is staged, Delta is as it was",
            action=f"correct the schema, or set max_dead_letters to {self.count} or more to load the rest, and run again",
        )


def masked(record: bytes, secret: Collection[str]) -> msgspec.Raw:
    """A record as it goes into a dead letter: its JSON on one line, secret fields masked; as text where it is no JSON.

    Of a record that cannot be taken apart while fields are secret, nothing but its size is told.
    """
    try:
        if secret:
            members = {n: _MASK if n in secret else msgspec.Raw(value) for n, value in json_text.members(record).items()}
            return msgspec.Raw(msgspec.json.format(msgspec.json.encode(members), indent=-1))
        return msgspec.Raw(msgspec.json.format(record, indent=-1))
    except (msgspec.MsgspecError, json_text.NotJson, ValueError, RecursionError):
        told = f"{len(record)} bytes that are not a JSON object" if secret else record.decode(errors="replace")
        return msgspec.Raw(msgspec.json.encode(told))


def _page(line: bytes) -> int | None:
    try:
        return msgspec.json.decode(line, type=_Place).page
    except msgspec.MsgspecError:
        return None
