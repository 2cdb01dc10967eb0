"""Records as the dictionaries of RECORD messages: exact numbers, text only where the schema says string."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from singer_arrow import types
from singer_arrow.errors import ValueRefused
from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.schemas import JsonSchema

_json = msgspec.json.Decoder(float_hook=Decimal)


class RecordMaker:
    """Makes one stream's dictionaries; decimals are Decimal, which the writer prints as numbers.

    `is_for_json`: clean records are structs instead, which msgspec writes as the same JSON, with numbers as they came.
    """

    def __init__(self, schema: JsonSchema, converter: Converter, is_for_json: bool = False) -> None:
        self._converter = converter
        self._is_for_json, self._type = is_for_json, converter.record_type
        self._names = [column.name for column in converter.columns]
        self._raw_names = converter.raw_columns
        self._raw: dict[str, Callable[[msgspec.Raw], Any]] = {}
        for column in converter.columns:
            is_text = "string" in types.kinds(schema["properties"].get(column.name, {}))
            self._raw[column.name] = _text if is_text and column.is_json else _digits if is_text else _value
        slots = {each.encode_name: each.name for each in msgspec.structs.fields(converter.record_type)}
        self._not_json = [(slots[name], self._raw[name]) for name in self._raw_names if self._raw[name] is not _value]

    def records(self, raws: Sequence[msgspec.Raw]) -> tuple[pa.RecordBatch, Iterator[Any]]:
        """The records of a page, as rows and as dictionaries. Raises ValueRefused for one that does not fit the schema."""
        decoded = self._converter.decoded(raws)
        if decoded is not None:
            structs, batch = decoded
            if self._is_for_json and self._converter.record_type is self._type:
                return batch, map(self._as_json, structs) if self._not_json else iter(structs)
            return batch, map(self._record, structs)
        converted = self._converter.convert(raws)
        for rejected in converted.rejected:
            field = "" if rejected.field is None else f", {rejected.field}"
            raise ValueRefused(
                f"stream {self._converter.stream.name}: record {rejected.index + 1} of a page{field}: {rejected.reason}",
                action="mend the schema; with BATCH output (batch_config), max_dead_letters puts such records aside",
            )
        left_out = set(converted.left_out)
        flat = self._converter.flat(raws)
        return converted.batch, (self._plain(raw) for place, raw in enumerate(flat) if place not in left_out)

    def _record(self, struct: Any) -> dict[str, Any]:
        record = dict(zip(self._names, msgspec.structs.astuple(struct), strict=False))  # columns that came later are not sent
        for name in self._raw_names:
            value = record[name]
            if type(value) is msgspec.Raw:
                record[name] = self._raw[name](value)
        return record

    def _as_json(self, struct: Any) -> Any:
        """The struct, with the JSON of `_value` left as it came."""
        for slot, made in self._not_json:
            value = getattr(struct, slot)
            if type(value) is msgspec.Raw:
                setattr(struct, slot, made(value))
        return struct

    def _plain(self, raw: msgspec.Raw) -> dict[str, Any]:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return {name: self._raw[name](members.get(name, msgspec.Raw(b"null"))) for name in self._names}


def _text(raw: msgspec.Raw) -> str | None:
    """The JSON text of any value."""
    text = bytes(raw).decode()
    return None if text == "null" else text


def _value(raw: msgspec.Raw) -> Any:
    return _json.decode(raw)


def _digits(raw: msgspec.Raw) -> Any:
    """Text as it is; of a number its digits."""
    value = json.loads(bytes(raw), parse_float=Decimal, parse_int=Decimal)
    return format(value, "f") if isinstance(value, Decimal) else value
