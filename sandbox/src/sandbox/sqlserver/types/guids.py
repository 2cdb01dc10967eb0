"""uniqueidentifier: stored as the 16 bytes in the order in which SQL Server sorts them."""

from __future__ import annotations

import uuid

from sandbox.sqlserver.errors import SqlError

# where each stored byte stands on the wire
WIRE_PLACES = [12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5]
_STORED_PLACES = [WIRE_PLACES.index(place) for place in range(16)]


def from_wire(wire: bytes) -> bytes:
    """The stored value of the 16 bytes on the wire."""
    return bytes(wire[place] for place in _STORED_PLACES)


def from_text(text: str) -> bytes:
    """The stored value of a text. Raises SqlError 8169."""
    try:
        return from_wire(uuid.UUID(text.strip()).bytes_le)
    except ValueError:
        raise SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.") from None
