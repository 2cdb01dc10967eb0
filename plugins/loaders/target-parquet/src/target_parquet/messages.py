"""Singer messages (hub.meltano.com/singer/spec, and the SDK's BATCH): one line of JSON each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from singer_arrow import json_text
from target_parquet.errors import MessageRefused

_READ = 1 << 18  # bytes at a time; a pipe holds fewer


class Input(Protocol):
    """Where lines come from: a file that is open for bytes."""

    def read1(self, size: int, /) -> bytes:
        """What is there, at most `size` bytes; waits while there is nothing, and is empty at the end."""


class Encoding(msgspec.Struct):
    """How the files of a BATCH are written."""

    format: str = ""
    compression: str | None = None


class Message(msgspec.Struct, gc=False):
    """Any Singer message; what a type does not carry keeps its default. `schema` and `record` stay undecoded JSON."""

    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw(b"")
    schema: msgspec.Raw = msgspec.Raw(b"")
    key_properties: list[str] | None = None
    bookmark_properties: list[str] | None = None
    value: Any = None
    encoding: Encoding | None = None
    manifest: list[str] | None = None


_DECODER = msgspec.json.Decoder(Message)
_BAD = (msgspec.MsgspecError, RecursionError, ValueError)


def decode(line: bytes, action: str = "") -> Message:
    """One line as a message. Raises MessageRefused, quoting its start; `action` is what to do then."""
    try:
        return _DECODER.decode(line)
    except _BAD as error:
        return _odd(line, error, action)


def chunks(lines: Input) -> Iterator[bytes]:
    """Whole lines, as many as are there at a time."""
    pieces: list[bytes] = []
    while data := lines.read1(_READ):
        end = data.rfind(b"\n") + 1
        if not end:
            pieces.append(data)
            continue
        yield b"".join([*pieces, data[:end]])
        pieces = [data[end:]] if end < len(data) else []
    if pieces:
        yield b"".join(pieces)


def of(chunk: bytes) -> Iterator[Message]:
    """The messages of whole lines; blank ones are passed over. Raises MessageRefused when it comes to a line that is none."""
    try:
        found = _DECODER.decode_lines(chunk)
    except _BAD:
        *whole, torn = chunk.split(b"\n")
        for line in whole:
            if line.strip():
                yield decode(line)
        if torn.strip():
            yield decode(torn, "the tap ended within it; look for its own error, and run again")
        return
    yield from found


def _odd(line: bytes, error: Exception, action: str) -> Message:
    """A line that msgspec does not take: RECORDs with NaN or Infinity, which Python writes, or nested very deep, are messages."""
    try:
        members = json_text.members(line)
        record = members.pop("record", b"")
        message = msgspec.json.decode(msgspec.json.encode({n: msgspec.Raw(v) for n, v in members.items()}), type=Message)
    except (json_text.NotJson, *_BAD):
        told = f"standard input has a line that is not a Singer message: {error}: {line[:200]!r}"
        raise MessageRefused(told, action=action) from error
    message.record = msgspec.Raw(record)
    return message
