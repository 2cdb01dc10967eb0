"""What a record is known by, where only that is asked and not what it holds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.stream_choice import StreamChoice


def of(choice: StreamChoice, converter: Converter) -> Callable[[msgspec.Raw], object]:
    """A function from a record's JSON to its key, as JSON texts; to the whole record where it has none."""
    members = msgspec.json.Decoder(dict[str, msgspec.Raw])

    def name(raw: msgspec.Raw) -> object:
        for made in (lambda: raw, lambda: converter.flat_one(raw)):
            try:
                found = members.decode(made())
                if choice.key:
                    return tuple(bytes(found[column]) for column in choice.key)
            except (msgspec.MsgspecError, KeyError, RecursionError):
                continue
        return bytes(raw)

    return name
