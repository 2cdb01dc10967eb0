"""Rows that a load kept when it failed, in the columns of a schema that was corrected since.

Only where they are what reading them again would give: of the same type or a wider one of the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow import types
from singer_arrow.declared import Declared

_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}  # of integers, by their bits


class Column(msgspec.Struct, frozen=True):
    """A column as it was declared: its Arrow type as text, whether it may be NULL, whether it keeps the JSON of any value."""

    arrow: str
    nullable: bool
    is_json: bool


def columns_of(columns: Iterable[Declared]) -> dict[str, Column]:
    """Columns by name, as they are declared."""
    return {each.name: Column(str(each.field.type), each.field.nullable, each.is_json) for each in columns}


def declared(columns: Mapping[str, Column]) -> list[Declared]:
    """The same the other way round."""
    return [Declared(pa.field(n, types.type_of(c.arrow), c.nullable), is_json=c.is_json) for n, c in columns.items()]


def fits(before: Mapping[str, Column], now: Mapping[str, Column], may_add: bool) -> bool:
    """Whether rows with the columns of before can have those of now.

    A new column is NULL in them: that is right where records with other members were none of them (`may_add`).
    """
    if not before.keys() <= now.keys():
        return False
    if any(not _holds(now[name], column) for name, column in before.items()):
        return False
    added = [now[name] for name in now if name not in before]
    return not added or (may_add and all(column.nullable for column in added))


def mended(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with the columns of a schema that `fits`."""
    arrays = []
    for field in schema:
        if field.name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, field.type))
        else:
            values = batch.column(field.name)
            arrays.append(values if values.type.equals(field.type) else pc.cast(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _holds(now: Column, before: Column) -> bool:
    if before.is_json != now.is_json or (before.nullable and not now.nullable):
        return False
    return before.arrow == now.arrow or _is_wider(types.type_of(now.arrow), types.type_of(before.arrow))


def _is_wider(now: pa.DataType, before: pa.DataType) -> bool:
    """Whether a type holds each value of another one, and takes it from the same JSON."""
    if pa.types.is_integer(before):
        if pa.types.is_signed_integer(now):
            return bool(now.bit_width > before.bit_width)
        return bool(pa.types.is_decimal(now) and now.precision - now.scale >= _DIGITS[before.bit_width])
    if pa.types.is_decimal(before) and pa.types.is_decimal(now):
        return bool(now.scale >= before.scale and now.precision - now.scale >= before.precision - before.scale)
    return False
