"""Arrow types as text, and which Arrow type holds a SQL or JSON Schema type exactly (docs/contracts.md, Manifest)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from singer_arrow.errors import TypeRefused

JsonSchema = dict[str, Any]

_PLAIN: dict[str, pa.DataType] = {
    str(t): t
    for t in (
        pa.bool_(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.date32(),
        pa.timestamp("us"),
        pa.timestamp("us", tz="UTC"),
        pa.time64("us"),
        pa.time64("ns"),
        pa.string(),
        pa.binary(),
    )
}
_DECIMAL = re.compile(r"decimal128\((\d+), (\d+)\)")
_SQL = re.compile(r"\s*([a-z0-9_ ]+?)\s*(?:\(\s*(max|\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.IGNORECASE)

_SQL_PLAIN: dict[str, pa.DataType] = {
    "bit": pa.bool_(),
    "boolean": pa.bool_(),
    "tinyint": pa.int16(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "float": pa.float64(),
    "double": pa.float64(),
    "money": pa.decimal128(19, 4),
    "smallmoney": pa.decimal128(10, 4),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "smalldatetime": pa.timestamp("us"),
    "datetime2": pa.timestamp("us"),
    "timestamp_ntz": pa.timestamp("us"),
    "datetimeoffset": pa.timestamp("us", tz="UTC"),
    **dict.fromkeys(("rowversion", "timestamp", "binary", "varbinary", "image"), pa.binary()),
    **dict.fromkeys(
        ("char", "varchar", "nchar", "nvarchar", "text", "ntext", "sysname", "uniqueidentifier", "xml", "string"),
        pa.string(),
    ),
    **dict.fromkeys(
        ("hierarchyid", "geography", "geometry", "sql_variant"),  # as the text the server prints
        pa.string(),
    ),
}


def type_text(arrow: pa.DataType) -> str:
    """The manifest's text of an Arrow type. Raises TypeRefused for a type outside the contract."""
    text = str(arrow)
    if text not in _PLAIN and not _DECIMAL.fullmatch(text):
        raise TypeRefused(f"a manifest cannot hold the Arrow type {text}")
    return text


def type_of(text: str) -> pa.DataType:
    """The Arrow type a manifest's text stands for. Raises TypeRefused for any other text."""
    if plain := _PLAIN.get(text):
        return plain
    if match := _DECIMAL.fullmatch(text):
        return pa.decimal128(int(match[1]), int(match[2]))
    raise TypeRefused(f"a manifest cannot hold the Arrow type {text!r}")


def of_sql(declared: str) -> pa.DataType:
    """The Arrow type of a SQL Server type as declared, `decimal(19,4)` say. Raises TypeRefused for an unknown type."""
    match = _SQL.fullmatch(declared)
    name = match[1].lower() if match else declared
    if match and name in ("decimal", "numeric"):
        precision, scale = int(match[2]) if match[2] else 18, int(match[3] or 0)
        if not 1 <= precision <= 38 or scale > precision:
            raise TypeRefused(f"{declared}: a decimal has 1 to 38 digits, and no more of them after the point")
        return pa.decimal128(precision, scale)
    if match and name == "time":
        digits = int(match[2]) if match[2] else 7
        return pa.time64("ns") if digits > 6 else pa.time64("us")
    if name in _SQL_PLAIN:
        return _SQL_PLAIN[name]
    raise TypeRefused(f"there is no SQL Server type {declared!r}")


def of_json_schema(column: JsonSchema) -> pa.DataType:
    """The Arrow type of a property of a Singer SCHEMA message, whose references are resolved (`declared.resolved`).

    `x-sql-datatype` decides where present; `multipleOf: 0.01` makes a number a decimal(38, 2); a bare number is a double;
    objects, arrays and mixed types are text holding JSON; `date-time` without `x-sql-datatype` is UTC. Of several options
    (`anyOf`, `oneOf`) of one JSON type the first decides. Raises TypeRefused.
    """
    if declared := column.get("x-sql-datatype"):
        return of_sql(str(declared))
    names = kinds(column) - {"null"}
    options = [option for option in _options(column) if kinds(option) - {"null"}]
    if len(names) == 1 and options:
        return of_json_schema(options[0])
    return _of_json(names.pop(), column) if len(names) == 1 else pa.string()


def kinds(column: Mapping[str, Any]) -> set[str]:
    """The JSON types that a property allows, those of its options among them; empty where it allows any."""
    declared = column.get("type") or []
    return ({declared} if isinstance(declared, str) else set(declared)).union(*(kinds(option) for option in _options(column)))


def _options(column: Mapping[str, Any]) -> list[JsonSchema]:
    return [option for name in ("anyOf", "oneOf") for option in column.get(name) or () if isinstance(option, dict)]


def _of_json(name: str, column: JsonSchema) -> pa.DataType:
    if name == "boolean":
        return pa.bool_()
    if name == "integer":
        return pa.int64()
    if name == "number":
        step = column.get("multipleOf")
        return pa.float64() if step is None else pa.decimal128(38, _digits_after_point(step))
    if name == "string" and column.get("contentEncoding") == "base64":
        return pa.binary()
    formats = {"date-time": pa.timestamp("us", tz="UTC"), "date": pa.date32(), "time": pa.time64("us")}
    return formats.get(str(column.get("format")), pa.string()) if name == "string" else pa.string()


def _digits_after_point(step: Any) -> int:
    """The scale of the multiples of a step: 2 of 0.01, 8 of 1e-08, 0 of 5."""
    try:
        number = Decimal(str(step))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise TypeRefused(f"multipleOf is {step!r}, which is not a number above 0")
    scale = max(-int(number.normalize().as_tuple().exponent), 0)
    if scale > 38:
        raise TypeRefused(f"multipleOf is {step!r}, but a decimal has at most 38 digits after the point")
    return scale


def to_json_schema(arrow: pa.DataType, declared: str, nullable: bool) -> JsonSchema:
    """The property of a SCHEMA message for a column; `declared` (the source type) goes along as `x-sql-datatype`."""
    column: JsonSchema
    if pa.types.is_boolean(arrow):
        column = {"type": ["boolean"]}
    elif pa.types.is_integer(arrow):
        bits = arrow.bit_width - 1
        column = {"type": ["integer"], "minimum": -(2**bits), "maximum": 2**bits - 1}
    elif pa.types.is_floating(arrow):
        column = {"type": ["number"]}
    elif pa.types.is_decimal(arrow):
        column = {"type": ["string"], "format": "singer.decimal"}
    elif pa.types.is_timestamp(arrow):
        column = {"type": ["string"], "format": "date-time"}
    elif pa.types.is_date(arrow):
        column = {"type": ["string"], "format": "date"}
    elif pa.types.is_time(arrow):
        column = {"type": ["string"], "format": "time"}
    elif pa.types.is_binary(arrow):
        column = {"type": ["string"], "contentEncoding": "base64"}
    else:
        column = {"type": ["string"]}
    if nullable:
        column["type"].append("null")
    column["x-sql-datatype"] = declared
    return column
