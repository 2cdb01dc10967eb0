"""A stream's declared JSON Schema: read, checked, and turned into Arrow."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa

from singer_arrow import types
from singer_arrow.errors import TypeRefused
from tap_rest_api_msdk.settings import JsonSchema

EXAMPLE = (
    "schema: {type: object, properties: {id: {type: integer, x-sql-datatype: int}, "
    "amount: {type: [number, 'null'], x-sql-datatype: 'decimal(19,4)'}, "
    "changed: {type: string, format: date-time, x-sql-datatype: datetime}}}"
)


def read(where: str, declared: Any) -> tuple[JsonSchema | None, list[str]]:
    """The schema of a stream (an object, or the path of a file with one) and its problems; None when it has none."""
    if isinstance(declared, str) and declared:
        try:
            declared = json.loads(Path(declared).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return None, [f"{where}.schema: cannot read {declared}: {error}"]
    columns = declared.get("properties") if isinstance(declared, dict) else None
    if not columns or not isinstance(columns, dict):
        return None, [f"{where}.schema: missing; schemas are declared here, not guessed. For example: {EXAMPLE}"]
    problems = []
    for name, column in columns.items():
        try:
            types.of_json_schema(column)
        except (TypeRefused, AttributeError) as error:
            problems.append(f"{where}.schema.properties.{name}: {error}")
    schema: JsonSchema = {"type": "object", **copy.deepcopy(declared)}
    return (None if problems else schema), problems


def replication_key_problems(where: str, schema: JsonSchema, key: str) -> list[str]:
    """A replication key must be a column with an order: a number, a date or a time."""
    column = schema["properties"].get(key)
    if column is None:
        return [f"{where}.replication_key: no column {key!r} in the schema"]
    arrow = types.of_json_schema(column)
    if pa.types.is_string(arrow) or pa.types.is_binary(arrow) or pa.types.is_boolean(arrow):
        return [f"{where}.replication_key: {key!r} is {arrow}; declare what it holds, x-sql-datatype: datetime2 say"]
    return []


def arrow_schema(schema: JsonSchema) -> pa.Schema:
    """The Arrow schema of all declared columns, in their order."""
    return pa.schema(
        [pa.field(name, types.of_json_schema(column), nullable(column)) for name, column in schema["properties"].items()]
    )


def source_types(schema: JsonSchema) -> dict[str, str]:
    """Column → its type as declared: x-sql-datatype, or the JSON type."""
    return {
        name: str(column.get("x-sql-datatype") or "|".join(sorted(_kinds(column) - {"null"})))
        for name, column in schema["properties"].items()
    }


def nullable(column: JsonSchema) -> bool:
    """Whether the JSON type allows null; a column without a type does."""
    options = [*column.get("anyOf", ()), *column.get("oneOf", ())]
    kinds = _kinds(column).union(*(_kinds(option) for option in options))
    return not kinds or "null" in kinds


def json_columns(schema: JsonSchema, text_keys: Collection[str]) -> set[str]:
    """Columns whose value is kept as JSON text: objects, arrays, mixed types, and those named in except_keys."""
    return {
        name
        for name, column in schema["properties"].items()
        if name in text_keys
        or (
            not column.get("x-sql-datatype")
            and pa.types.is_string(types.of_json_schema(column))
            and _kinds(column) - {"null"} != {"string"}
            and not column.get("anyOf")
        )
    }


def is_text(column: JsonSchema) -> bool:
    """Whether the JSON type is a string."""
    return "string" in _kinds(column)


def _kinds(column: JsonSchema) -> set[str]:
    kinds = column.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)
