"""What a record is known by, where only that is asked and not what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from singer_arrow.decoded import Decoded

Name = tuple[bytes, ...]


class Identity:
    """Names records: by their key, as JSON texts, or as a whole where they have none. `flat` makes a nested one flat."""

    def __init__(self, key: Sequence[str], flat: Callable[[msgspec.Raw], msgspec.Raw]) -> None:
        self.key = list(key)
        self._flat = flat
        slots = {f"f{number}": column for number, column in enumerate(self.key)}
        members = msgspec.defstruct("Named", [(slot, msgspec.Raw) for slot in slots], rename=slots, gc=False)
        self._members = msgspec.json.Decoder(members)
        self._slots_of: tuple[Any, list[str]] = (None, [])

    def name(self, records: Sequence[msgspec.Raw], place: int) -> Name:
        """The name of a record: of its key's text the shortest JSON, whether it was decoded or not."""
        if isinstance(records, Decoded) and self.key:
            struct = records.structs[place]
            return tuple(_json_of(getattr(struct, slot)) for slot in self._slots(type(struct)))
        return self.of(records[place])

    def of(self, raw: msgspec.Raw) -> Name:
        """The name of a record that is JSON."""
        if self.key:
            for made in (lambda raw: raw, self._flat):
                try:
                    return tuple(map(_shortest, msgspec.structs.astuple(self._members.decode(made(raw)))))
                except (msgspec.MsgspecError, RecursionError):
                    continue
        return (bytes(raw),)

    def _slots(self, record_type: type[msgspec.Struct]) -> list[str]:
        """The attributes of the key's columns."""
        if self._slots_of[0] is not record_type:
            slots = {each.encode_name: each.name for each in msgspec.structs.fields(record_type)}
            self._slots_of = (record_type, [slots[column] for column in self.key])
        return self._slots_of[1]

    def words(self, name: Name | None) -> str:
        """A name as a message shows it."""
        if name is None or len(name) != len(self.key):
            return "the stream has no primary_keys to name it by"
        return ", ".join(f"{column}={text.decode(errors='replace')[:80]}" for column, text in zip(self.key, name, strict=True))


def _json_of(value: Any) -> bytes:
    return _shortest(value) if isinstance(value, msgspec.Raw) else msgspec.json.encode(value)


def _shortest(raw: msgspec.Raw) -> bytes:
    """A value's JSON, text without escapes that need not be."""
    text = bytes(raw)
    return msgspec.json.encode(msgspec.json.decode(text)) if text[:1] == b'"' and b"\\" in text else text
