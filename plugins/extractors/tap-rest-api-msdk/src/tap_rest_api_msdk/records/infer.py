"""The schema of a stream that declares none, from its first records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tap_rest_api_msdk.schemas import JsonSchema

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_ORDER = ("boolean", "integer", "number", "string", "object", "array")


def schema(records: Iterable[Mapping[str, Any]], replication_key: str | None) -> JsonSchema:
    """A JSON Schema whose columns are all nullable: the kinds that were seen, integers and numbers together being numbers.

    A column in which no value was seen is text. The replication key is a moment where all that was seen are moments.
    """
    kinds: dict[str, set[str]] = {}
    moments: list[str] = []
    for record in records:
        for name, value in record.items():
            kinds.setdefault(name, set()).add(_kind(value))
            if name == replication_key and isinstance(value, str):
                moments.append(value)
    properties = {name: _column(found - {"null"}) for name, found in kinds.items()}
    if replication_key in properties and moments and all(map(_MOMENT.fullmatch, moments)):
        zoned = all(found and found[3] for found in map(_MOMENT.fullmatch, moments))
        properties[replication_key] |= {"format": "date-time"} if zoned else {"x-sql-datatype": "datetime2"}
    return {"type": "object", "properties": properties}


def note(sample: int) -> str:
    """What the load document says of it."""
    return f"the schema is not declared: it was inferred from the first {sample} record{'' if sample == 1 else 's'}"


def _column(kinds: set[str]) -> JsonSchema:
    if kinds >= {"integer", "number"}:
        kinds = kinds - {"integer"}
    return {"type": [*(kind for kind in _ORDER if kind in kinds or (not kinds and kind == "string")), "null"]}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "integer" if not re.search(r"[.eE]", json.dumps(value) if isinstance(value, int | float) else str(value)) else "number"
