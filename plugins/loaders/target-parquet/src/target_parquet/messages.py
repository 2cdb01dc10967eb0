"""Singer messages (hub.meltano.com/singer/spec, and the SDK's BATCH): one line of JSON each."""

from __future__ import annotations

from typing import Any

import msgspec

from target_parquet.errors import MessageRefused


class Encoding(msgspec.Struct):
    """How the files of a BATCH are written."""

    format: str = ""
    compression: str | None = None


class Message(msgspec.Struct):
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


def decode(line: bytes) -> Message:
    """One line as a message. Raises MessageRefused, quoting its start."""
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise MessageRefused(f"standard input has a line that is not a Singer message: {error}: {line[:200]!r}") from error
