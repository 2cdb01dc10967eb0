"""The documents' models as JSON Schema (2020-12): what is written has these fields and no others."""

from __future__ import annotations

from typing import Any

import msgspec


def json_schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a document. Readers are more lenient: they ignore fields that they do not know."""
    _, definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    whole = definitions.pop(model.__name__)
    parts = {name: _closed(each) for name, each in sorted(definitions.items())}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_closed(whole), **({"$defs": parts} if parts else {})}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if "properties" in schema else schema
