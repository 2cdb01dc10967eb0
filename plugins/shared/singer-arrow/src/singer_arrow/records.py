"""JSON records → Arrow batches, by declared types: every value exact, or refused by stream, column and value."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow.errors import ValueRefused

_ZONE = r"(Z|[+-]\d\d:?\d\d)$"


class RecordDecoder:
    """Decodes records of one stream by its Arrow schema: parsing and type checks run in C (msgspec), columns in Arrow.

    Text columns named in `json_columns` take any JSON value and keep its text. Unknown fields are refused unless
    `extra_fields` is true: a value that would not arrive is never dropped in silence.
    """

    def __init__(self, stream: str, schema: pa.Schema, json_columns: Collection[str] = (), extra_fields: bool = False) -> None:
        self.stream = stream
        self.schema = schema
        self._json_columns = frozenset(json_columns)
        slots = [f"c{i}" for i in range(len(schema))]
        self.record_type = msgspec.defstruct(
            "Record",
            [
                (slot, msgspec.Raw if f.name in self._json_columns else _json_type(f.type) | None, None)
                for slot, f in zip(slots, schema, strict=True)
            ],
            rename=dict(zip(slots, schema.names, strict=True)),
            forbid_unknown_fields=not extra_fields,
            gc=False,
        )
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self.record_type)

    def decode(self, record: bytes | msgspec.Raw) -> Any:
        """One JSON object. Raises ValueRefused naming stream and column for a wrong type or an unknown field."""
        try:
            return self._one.decode(record)
        except msgspec.MsgspecError as error:
            raise ValueRefused(self.explain(error)) from error

    def explain(self, error: msgspec.MsgspecError) -> str:
        """A decoding error with the stream it came from; msgspec names the column itself."""
        return f"stream {self.stream}: a record is not of the declared schema: {error}"

    def batch(self, records: Sequence[Any]) -> pa.RecordBatch:
        """Decoded records as one batch of the schema. Raises ValueRefused naming the column and the first bad value."""
        columns = zip(*map(msgspec.structs.astuple, records), strict=True) if records else ([] for _ in self.schema)
        arrays = [self._column(f, list(values)) for f, values in zip(self.schema, columns, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _column(self, field: pa.Field, values: list[Any]) -> pa.Array:
        if field.name in self._json_columns:
            values = [None if v is None or bytes(v) == b"null" else bytes(v).decode() for v in values]
        try:
            array = _to_arrow(field.type, values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, OverflowError) as error:
            raise ValueRefused(f"stream {self.stream}, column {field.name!r} ({field.type}): {error}") from error
        if array.null_count and not field.nullable:
            raise ValueRefused(f"stream {self.stream}, column {field.name!r} is NULL in a record, and declared NOT NULL")
        return array


def _json_type(arrow: pa.DataType) -> Any:
    if pa.types.is_boolean(arrow):
        return bool
    if pa.types.is_integer(arrow):
        return int
    if pa.types.is_floating(arrow):
        return float
    if pa.types.is_decimal(arrow):
        return Decimal
    return str


def _to_arrow(arrow: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_decimal(arrow):
        return _decimals(arrow, values)
    if pa.types.is_timestamp(arrow):
        return _timestamps(arrow, pa.array(values, pa.string()))
    if pa.types.is_time(arrow):
        moments = pc.binary_join_element_wise("1970-01-01T", pa.array(values, pa.string()), "")
        return pc.cast(pc.cast(moments, pa.timestamp(arrow.unit)), arrow)
    if pa.types.is_date(arrow):
        return pc.cast(pa.array(values, pa.string()), arrow)
    if pa.types.is_binary(arrow):
        return pa.array([None if v is None else base64.b64decode(v, validate=True) for v in values], arrow)
    return pa.array(values, arrow)


def _decimals(arrow: pa.DataType, values: list[Decimal | None]) -> pa.Array:
    """Arrow refuses digits beyond the scale only when they are not zeros, and digits beyond the precision: so do we."""
    for value in values:
        if value is not None and not value.is_finite():
            raise ValueError(f"{value} is no number")
    return pa.array(values, arrow)


def _timestamps(arrow: pa.DataType, texts: pa.Array) -> pa.Array:
    zoned = pc.sum(pc.match_substring_regex(texts, _ZONE)).as_py() or 0
    if arrow.tz is None and zoned:
        raise ValueError("a value has a time zone; declare the column x-sql-datatype: datetimeoffset")
    if arrow.tz is not None and zoned != len(texts) - texts.null_count:
        raise ValueError("a value has no time zone; declare the column x-sql-datatype: datetime2")
    return pc.cast(texts, arrow)
