"""A JSON Schema declares columns: what each becomes in Arrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from singer_arrow import types
from singer_arrow.declared import columns
from singer_arrow.errors import TypeRefused

ROOT = {
    "definitions": {
        "money": {"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"},
        "pair": {"anyOf": [{"$ref": "#/definitions/money"}, {"type": "null"}]},
        "again": {"$ref": "#/definitions/again"},
        "a/b": {"type": "string", "format": "date"},
    }
}


@pytest.mark.parametrize(
    ("column", "arrow", "is_json"),
    [
        ({"$ref": "#/definitions/money"}, pa.decimal128(19, 4), False),
        ({"$ref": "#/definitions/pair"}, pa.decimal128(19, 4), False),
        ({"$ref": "#/definitions/a~1b"}, pa.date32(), False),
        ({"$ref": "#/definitions/money", "x-sql-datatype": "money"}, pa.decimal128(19, 4), False),
        ({"allOf": [{"$ref": "#/definitions/a~1b"}], "description": "x"}, pa.date32(), False),
        ({"$ref": "#/definitions/again"}, pa.string(), True),
        ({"$ref": "https://example.com/schema.json"}, pa.string(), True),
        ({"type": "number", "multipleOf": 1e-08}, pa.decimal128(38, 8), False),
        ({"type": "number", "multipleOf": 0.5}, pa.decimal128(38, 1), False),
        ({"type": "number", "multipleOf": 100}, pa.decimal128(38, 0), False),
        ({"type": "number", "multipleOf": "0.010"}, pa.decimal128(38, 2), False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, pa.string(), False),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]}, pa.timestamp("us", "UTC"), False),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, pa.string(), True),
        ({"type": ["string", "integer"]}, pa.string(), True),
        ({"type": "array", "items": {"type": "string"}}, pa.string(), True),
        ({}, pa.string(), True),
        (True, pa.string(), True),
        ({"type": "object", "x-sql-datatype": "nvarchar(max)"}, pa.string(), False),
        ({"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"}, pa.decimal128(19, 4), False),
        ({"type": "number"}, pa.float64(), False),
        ({"type": "string", "format": "date-time"}, pa.timestamp("us", tz="UTC"), False),
        ({"type": "string", "x-sql-datatype": "datetime"}, pa.timestamp("us"), False),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64(), False),
        ({"type": ["object", "null"]}, pa.string(), True),
    ],
)
def test_what_a_column_becomes(column: Any, arrow: pa.DataType, is_json: bool) -> None:
    [found] = columns({**ROOT, "properties": {"value": column}})
    assert (found.field.type, found.is_json) == (arrow, is_json)


def test_null_secrets_and_bare_numbers() -> None:
    schema = {"properties": {
        "id": {"type": "integer"}, "card": {"type": ["string", "null"], "x-secret": True}, "rate": {"type": "number"},
        "exact": {"type": "number", "x-sql-datatype": "float"}, "any": {},
    }}  # fmt: skip
    found = {column.name: column for column in columns(schema, text_columns=["rate"])}
    assert [name for name, column in found.items() if column.field.nullable] == ["card", "any"]
    assert [name for name, column in found.items() if column.is_secret] == ["card"]
    assert found["rate"].is_json and not found["rate"].is_bare
    found = {column.name: column for column in columns(schema, not_null=["id"])}
    assert [name for name, column in found.items() if not column.field.nullable] == ["id"]
    assert [name for name, column in found.items() if column.is_bare] == ["rate"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"$ref": "#/definitions/none"}, "leads nowhere"),
        ({"type": "number", "multipleOf": 0}, "multipleOf"),
        ({"type": "number", "multipleOf": "x"}, "multipleOf"),
        ({"type": "number", "multipleOf": 1e-40}, "38 digits"),
        ({"x-sql-datatype": "vector(3)"}, "vector"),
    ],
)
def test_what_cannot_be_is_refused_by_column(column: Any, words: str) -> None:
    with pytest.raises(TypeRefused, match=f"'price'.*{words}"):
        columns({**ROOT, "properties": {"price": column}})


def test_unknown_sql_types_are_refused_by_name_and_nullable_ones_say_so() -> None:
    with pytest.raises(TypeRefused, match="vector"):
        types.of_sql("vector(3)")
    assert types.to_json_schema(pa.int16(), "tinyint", True)["type"] == ["integer", "null"]
