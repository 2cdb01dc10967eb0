"""Records that were decoded together with what was around them, as structs of a converter's columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, overload

import msgspec


class Decoded(Sequence[msgspec.Raw]):
    """Records as `structs` of a converter's `record_type`; as a sequence they are their JSON, which `read` makes when asked for.

    That all of them were decoded shows that each is an object without a member that is not declared.
    """

    def __init__(self, structs: list[Any], read: Callable[[], Sequence[msgspec.Raw]]) -> None:
        self.structs = structs
        self._read = read

    @cached_property
    def _raws(self) -> Sequence[msgspec.Raw]:
        return self._read()

    def __len__(self) -> int:
        return len(self.structs)

    @overload
    def __getitem__(self, place: int) -> msgspec.Raw: ...
    @overload
    def __getitem__(self, place: slice) -> Decoded: ...
    def __getitem__(self, place: int | slice) -> msgspec.Raw | Decoded:
        """One record's JSON, or some of the records."""
        if isinstance(place, slice):
            return Decoded(self.structs[place], lambda: self._raws[place])
        return self._raws[place]


def joined(pieces: Iterable[Sequence[msgspec.Raw]]) -> Sequence[msgspec.Raw]:
    """The records of all pieces: decoded where all of them are."""
    pieces = list(pieces)
    decoded = [each for each in pieces if isinstance(each, Decoded)]
    if len(decoded) < len(pieces):
        return list(chain.from_iterable(pieces))
    if len(decoded) == 1:
        return decoded[0]
    return Decoded(list(chain.from_iterable(each.structs for each in decoded)), lambda: list(chain.from_iterable(decoded)))
