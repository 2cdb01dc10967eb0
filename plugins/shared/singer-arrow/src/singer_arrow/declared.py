"""Columns as a JSON Schema declares them (docs/contracts.md, Records)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from msgspec import Struct

from singer_arrow import types
from singer_arrow.errors import TypeRefused

JsonSchema = Mapping[str, Any]


class Declared(Struct, frozen=True):
    """One column: its Arrow field; `source_type` as declared (x-sql-datatype, or "").

    `is_json`: a text column that keeps the JSON text of any value. `is_secret` (`x-secret: true`): its values stand in no dead
    letter, reason or message. `is_bare`: a JSON `number` of which nothing more is declared: a double, where it is one exactly.
    """

    field: pa.Field
    source_type: str = ""
    is_json: bool = False
    is_secret: bool = False
    is_bare: bool = False

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.field.name)


def columns(schema: JsonSchema, text_columns: Collection[str] = (), not_null: Collection[str] | None = None) -> list[Declared]:
    """The columns of a stream's JSON Schema, in its order; local `$ref`s are followed.

    `text_columns` keep the JSON text of their values, whatever is declared. `not_null` names the columns that are never NULL
    (a target knows only its keys); None: those whose declared type has no `null`. Raises TypeRefused, naming the column.
    """
    found = []
    for name, declared in (schema.get("properties") or {}).items():
        try:
            column = resolved(declared, schema)
            found.append(_column(name, column, name in text_columns, not_null))
        except TypeRefused as error:
            raise TypeRefused(f"column {name!r}: {error.what}", safe=error.safe, action=error.action) from None
    return found


def comments(schema: JsonSchema) -> dict[str, str]:
    """What a stream's JSON Schema says of its columns in words (`description`), by column."""
    properties = schema.get("properties") or {}
    return {name: str(column["description"]) for name, column in properties.items() if _is_described(column)}


def _is_described(column: Any) -> bool:
    return isinstance(column, Mapping) and bool(column.get("description"))


def arrow_schema(columns: Iterable[Declared]) -> pa.Schema:
    """The Arrow schema of columns."""
    return pa.schema([column.field for column in columns])


def is_nullable(column: JsonSchema) -> bool:
    """Whether the declared JSON type allows null; a column without a type does."""
    kinds = types.kinds(column)
    return not kinds or "null" in kinds


def is_json(column: JsonSchema) -> bool:
    """Whether a column keeps JSON text: objects, arrays, and columns of several types or of none."""
    if column.get("x-sql-datatype"):
        return False
    return bool(pa.types.is_string(types.of_json_schema(dict(column))) and types.kinds(column) - {"null"} != {"string"})


def resolved(column: Any, root: JsonSchema) -> dict[str, Any]:
    """A column's declaration with what its local `$ref`s (`#/definitions/money`) say, and its options' likewise.

    What stands beside a `$ref` counts before what it names. One that is not local, or leads back to itself, says nothing: the
    column keeps JSON text. Raises TypeRefused for one that leads nowhere.
    """
    return _resolved(column, root, frozenset())


def _resolved(column: Any, root: JsonSchema, seen: frozenset[str]) -> dict[str, Any]:
    if not isinstance(column, Mapping):
        return {}  # `true` in JSON Schema: any value
    found = dict(column)
    reference = found.pop("$ref", None)
    if isinstance(reference, str) and reference.startswith("#") and reference not in seen:
        found = _resolved(_at(root, reference), root, seen | {reference}) | found
    every = found.get("allOf")
    if isinstance(every, list) and len(every) == 1:
        found = _resolved(every[0], root, seen) | {name: value for name, value in found.items() if name != "allOf"}
    for name in ("anyOf", "oneOf"):
        if isinstance(found.get(name), list):
            found[name] = [_resolved(option, root, seen) for option in found[name]]
    return found


def _at(root: JsonSchema, reference: str) -> Any:
    """What a JSON pointer (RFC 6901) in a fragment names."""
    found: Any = root
    for step in unquote(reference[1:]).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise TypeRefused(f"its $ref {reference!r} leads nowhere in this schema", action="correct the tap's schema") from None
    return found


def _column(name: str, column: dict[str, Any], as_text: bool, not_null: Collection[str] | None) -> Declared:
    declared = str(column.get("x-sql-datatype") or "")
    arrow = pa.string() if as_text else types.of_json_schema(column)
    nullable = is_nullable(column) if not_null is None else name not in not_null
    return Declared(
        pa.field(name, arrow, nullable),
        declared,
        as_text or is_json(column),
        column.get("x-secret") is True,
        pa.types.is_float64(arrow) and not declared,
    )
