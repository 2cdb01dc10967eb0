"""What a record is known by, where only that is asked and not what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

Name = tuple[bytes, ...]


class Identity:
    """Names records: by their key, as JSON texts, or as a whole where they have none. `flat` makes a nested one flat."""

    def __init__(self, key: Sequence[str], flat: Callable[[msgspec.Raw], msgspec.Raw]) -> None:
        self.key = list(key)
        self._flat = flat
        slots = {f"f{number}": column for number, column in enumerate(self.key)}
        members = msgspec.defstruct("Named", [(slot, msgspec.Raw) for slot in slots], rename=slots, gc=False)
        self._members = msgspec.json.Decoder(members)

    def name(self, raw: msgspec.Raw) -> Name:
        """The name of a record."""
        if self.key:
            for made in (lambda raw: raw, self._flat):
                try:
                    return tuple(map(bytes, msgspec.structs.astuple(self._members.decode(made(raw)))))
                except (msgspec.MsgspecError, RecursionError):
                    continue
        return (bytes(raw),)

    def words(self, name: Name | None) -> str:
        """A name as a message shows it."""
        if name is None or len(name) != len(self.key):
            return "the stream has no primary_keys to name it by"
        return ", ".join(f"{column}={text.decode(errors='replace')[:80]}" for column, text in zip(self.key, name, strict=True))
