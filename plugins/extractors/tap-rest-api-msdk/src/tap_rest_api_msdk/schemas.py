"""A stream's declared JSON Schema: read, checked, and turned into Arrow."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from singer_arrow import types
from singer_arrow.errors import TypeRefused
from singer_arrow.settings import nearest

JsonSchema = dict[str, Any]
SET_START = "set start_date only in the streams whose replication_key is a date, or a time with one"
_JSON_TYPES = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})

EXAMPLE = (
    "schema: {type: object, properties: {id: {type: integer, x-sql-datatype: int}, "
    "amount: {type: [number, 'null'], x-sql-datatype: 'decimal(19,4)'}, "
    "changed: {type: string, format: date-time, x-sql-datatype: datetime}}}"
)


def read(declared: Any) -> tuple[JsonSchema | None, list[tuple[str, str]]]:
    """The schema of a stream (an object, its JSON, or the path of a file with it), or None and its problems by place."""
    if isinstance(declared, str) and declared:
        try:
            declared = json.loads(declared if declared.startswith("{") else Path(declared).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return None, [("schema", f"cannot be read from {declared[:80]}: {error}")]
    columns = declared.get("properties") if isinstance(declared, dict) else None
    if not columns or not isinstance(columns, dict):
        return None, [("schema", f"must be an object with properties. For example: {EXAMPLE}")]
    problems = [(f"schema.properties.{name}", why) for name, column in columns.items() if (why := _wrong(column))]
    schema: JsonSchema = {"type": "object", **copy.deepcopy(declared)}
    return (None if problems else schema), problems


def _wrong(column: Any) -> str:
    """Why a column's declaration cannot be; empty for one that can."""
    if not isinstance(column, dict):
        return "must be an object such as {type: integer}"
    unknown = sorted(map(str, _kinds(column) - _JSON_TYPES))
    if unknown:
        return f"has type {', '.join(unknown)}, which JSON Schema does not have{nearest(unknown[0], _JSON_TYPES)}"
    try:
        types.of_json_schema(column)
    except TypeRefused as error:
        return f"has a type that cannot be: {error.what}"
    return ""


def replication_key_problems(schema: JsonSchema, key: str) -> list[str]:
    """A replication key must be a column with an order: a number, a date or a time."""
    column = schema["properties"].get(key)
    if column is None:
        return [f"names {key}, which is not a column of the schema"]
    arrow = types.of_json_schema(column)
    if pa.types.is_string(arrow) or pa.types.is_binary(arrow) or pa.types.is_boolean(arrow):
        return [f"names {key}, which is {arrow} and has no order; declare what it holds, such as x-sql-datatype: datetime2"]
    return []


def start_problem(schema: JsonSchema, key: str, start_date: str) -> str:
    """A start_date is where a replication key begins that is a date, or a time with one. Empty where it is, or there is none."""
    column = schema["properties"].get(key)
    arrow = None if column is None else types.of_json_schema(column)
    if not start_date or arrow is None or pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):
        return ""
    return f"is not a value of the replication_key {key}, which is {arrow}"


def source_types(schema: JsonSchema) -> dict[str, str]:
    """Column → its type as declared: x-sql-datatype, or the JSON type."""
    return {
        name: str(column.get("x-sql-datatype") or "|".join(sorted(_kinds(column) - {"null"})))
        for name, column in schema["properties"].items()
    }


def _kinds(column: JsonSchema) -> set[str]:
    kinds = column.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)
