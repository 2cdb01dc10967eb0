"""Columns for fields that nobody declared, typed from their values (`on_schema_drift: evolve`).

| the values that are not null | the column |
|---|---|
| all true or false | bool |
| all whole numbers that int64 holds | int64 |
| other numbers, all of them exactly a double (docs/contracts.md, Records) | double |
| all text | string |
| anything else: numbers with more digits, objects, arrays, values of several kinds | string, with the JSON text |

The type stays for the load: a later value that it does not hold is rejected as in any other column.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from singer_arrow import types
from singer_arrow.declared import Declared
from singer_arrow.readers import UNFIT, reader_of


def column_of(name: str, texts: Sequence[bytes], before: str | None = None, as_text: bool = False) -> Declared | None:
    """The column for JSON values of a field; None where all are null.

    `before` is the Arrow type, as text, that the field's column had in an earlier load, where it had one: it has it again.
    `as_text`: the column keeps the JSON text of any value.
    """
    present = [text for text in texts if text != b"null"]
    if not present:
        return None
    if as_text:
        return Declared(pa.field(name, pa.string()), is_json=True)
    kinds = {_kind(text) for text in present}
    if before is not None and before != "string":
        return Declared(pa.field(name, types.type_of(before)))
    if before is None and kinds == {"bool"}:
        return Declared(pa.field(name, pa.bool_()))
    if before is None and kinds == {"number"}:
        for arrow in (pa.int64(), pa.float64()):
            column = Declared(pa.field(name, arrow), is_bare=pa.types.is_floating(arrow))
            if _holds(column, present):
                return column
    return Declared(pa.field(name, pa.string()), is_json=kinds != {"text"})


def _holds(column: Declared, texts: Sequence[bytes]) -> bool:
    reader = reader_of(column)
    try:
        reader.made(reader.decoded(texts))
    except UNFIT:
        return False
    return True


def _kind(text: bytes) -> str:
    first = text[:1]
    if first == b'"':
        return "text"
    if first in b"tf":
        return "bool"
    return "nested" if first in b"{[" else "number"
