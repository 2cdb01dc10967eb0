"""JSON records become Arrow exactly as declared, or are refused by stream and column."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_arrow import types
from singer_arrow.errors import TypeRefused, ValueRefused
from singer_arrow.records import RecordDecoder

SCHEMA = pa.schema(
    [
        ("small", pa.int16()),
        ("money", pa.decimal128(19, 4)),
        ("local", pa.timestamp("us")),
        ("utc", pa.timestamp("us", tz="UTC")),
        ("time", pa.time64("ns")),
        ("text", pa.string()),
        ("any", pa.string()),
        ("bytes", pa.binary()),
    ]
)
DECODER = RecordDecoder("Orders", SCHEMA, json_columns={"any"})


def value(column: str, json_text: str) -> Any:
    batch = DECODER.batch([DECODER.decode(f'{{"{column}": {json_text}}}'.encode())])
    return batch.column(column)[0]


@given(st.decimals(min_value=-(10**15) + 1, max_value=10**15 - 1, places=4))
def test_a_json_number_keeps_every_digit(number: Decimal) -> None:
    assert value("money", format(number, "f")).as_py() == number


def test_times_keep_seven_digits_and_instants_become_utc() -> None:
    assert value("time", '"23:59:59.1234567"').value == 86_399_123_456_700
    assert value("utc", '"2020-01-01T00:00:00.5+03:00"').cast(pa.string()).as_py() == "2019-12-31 21:00:00.500000Z"
    assert value("any", '{"a": [1.10]}').as_py() == '{"a": [1.10]}'
    assert value("bytes", '"AAE="').as_py() == b"\0\1"


@pytest.mark.parametrize(
    ("column", "json_text"),
    [
        ("small", "40000"),
        ("small", '"1"'),
        ("money", "1.00001"),
        ("money", "1e30"),
        ("local", '"2020-01-01T00:00:00.1234567"'),
        ("local", '"2020-01-01T00:00:00Z"'),
        ("utc", '"2020-01-01T00:00:00"'),
        ("text", "1"),
        ("bytes", '"?"'),
        ("unknown", "1"),
    ],
)
def test_what_does_not_fit_is_refused_by_stream_and_column(column: str, json_text: str) -> None:
    with pytest.raises(ValueRefused, match=f"Orders.*{column}"):
        value(column, json_text)


@pytest.mark.parametrize(
    ("column", "arrow"),
    [
        ({"type": ["number", "null"], "x-sql-datatype": "decimal(19,4)"}, pa.decimal128(19, 4)),
        ({"type": "number", "multipleOf": 0.01}, pa.decimal128(38, 2)),
        ({"type": "number"}, pa.float64()),
        ({"type": "string", "format": "date-time"}, pa.timestamp("us", tz="UTC")),
        ({"type": "string", "x-sql-datatype": "datetime"}, pa.timestamp("us")),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64()),
        ({"type": ["object", "null"]}, pa.string()),
    ],
)
def test_json_schema_to_arrow(column: dict[str, Any], arrow: pa.DataType) -> None:
    assert types.of_json_schema(column) == arrow


def test_unknown_sql_types_are_refused_by_name() -> None:
    with pytest.raises(TypeRefused, match="vector"):
        types.of_sql("vector(3)")
    assert json.dumps(types.to_json_schema(pa.int16(), "tinyint", True)["type"]) == '["integer", "null"]'
