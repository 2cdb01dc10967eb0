"""Decoded records as the dictionaries of RECORD messages: exact numbers, text only where the schema says string."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.schemas import JsonSchema

_json = msgspec.json.Decoder(float_hook=Decimal)


class RecordMaker:
    """Makes one stream's dictionaries."""

    def __init__(self, schema: JsonSchema, arrow: pa.Schema, json_columns: Collection[str]) -> None:
        self._names = arrow.names
        self._changes: list[tuple[str, Callable[[Any], Any]]] = []
        for field in arrow:
            text = schemas.is_text(schema["properties"][field.name])
            if field.name in json_columns:
                self._changes.append((field.name, _raw_text if text else _value))
            elif pa.types.is_decimal(field.type) and text:
                self._changes.append((field.name, _decimal_text))

    def record(self, decoded: Any) -> dict[str, Any]:
        """One record by its columns' names; decimals are Decimal, which the writer prints as numbers."""
        record = dict(zip(self._names, msgspec.structs.astuple(decoded), strict=True))
        for name, change in self._changes:
            if record[name] is not None:
                record[name] = change(record[name])
        return record


def _raw_text(raw: msgspec.Raw) -> str | None:
    text = bytes(raw).decode()
    return None if text == "null" else text


def _value(raw: msgspec.Raw) -> Any:
    return _json.decode(raw)


def _decimal_text(value: Decimal) -> str:
    return format(value, "f")
