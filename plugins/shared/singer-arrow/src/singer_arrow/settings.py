"""Settings as msgspec models: all wrong ones told at once, JSON Schema for `--about`, secrets that no log shows.

A model is a `msgspec.Struct` whose fields are `Annotated[type, Meta(description=…)]`. Its import takes milliseconds, which
counts: every run of the pipeline starts several processes.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Meta

Model = TypeVar("Model", bound=msgspec.Struct)
Problem = tuple[str, str]  # a setting's name, what is wrong with it

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}


class Secret:
    """Text that is shown to nobody by accident: neither printed, nor logged, nor written as JSON."""

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for who needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"


def checked(
    model: type[Model], given: Mapping[str, Any], always: Mapping[str, bool] | None = None
) -> tuple[Model | None, list[Problem]]:
    """The settings as the model's, or None and every problem of theirs. Texts of numbers and booleans are taken for such.

    `always` are settings of published plugins that can be one thing only here.
    """
    fields = msgspec.structs.fields(model)
    known = {field.name for field in fields}
    problems = [(name, _unknown(name, known)) for name in given if name not in known]
    values = {}
    for field in fields:
        if field.name in given:
            try:
                values[field.name] = msgspec.convert(given[field.name], field.type, strict=False, dec_hook=_decoded)
            except msgspec.ValidationError as error:
                problems.append((field.name, _words(error, field.type)))
            else:
                only = (always or {}).get(field.name)
                if only is not None and values[field.name] is not only:
                    problems.append((field.name, f"is always {str(only).lower()} here"))
        elif field.required:
            problems.append((field.name, "is needed"))
    return (None if problems else model(**values)), problems


def json_schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    """The model as JSON Schema, without references."""
    _, components = msgspec.json.schema_components([model], schema_hook=_schema)
    schema = dict(components[model.__name__])
    schema.setdefault("additionalProperties", False)
    for property_ in schema["properties"].values():
        if "enum" in property_:
            property_.setdefault("type", "string")
    return schema


def metas(model: type[msgspec.Struct]) -> dict[str, Meta]:
    """What is said of each setting: description, examples."""
    found = {}
    for field in msgspec.structs.fields(model):
        said = [part for part in getattr(field.type, "__metadata__", ()) if isinstance(part, Meta)]
        found[field.name] = said[-1] if said else Meta()
    return found


def _decoded(kind: type, value: Any) -> Any:
    if kind in (Path, Secret):
        if not isinstance(value, str):
            raise ValueError("Expected `str`")
        return kind(value)
    raise NotImplementedError(kind)


def _schema(kind: type) -> dict[str, Any]:
    return {"type": "string", "format": "password", "writeOnly": True} if kind is Secret else {"type": "string", "format": "path"}


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1)
    return "no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _words(error: msgspec.ValidationError, kind: Any) -> str:
    """The error as one says it: `must be a whole number >= 1`."""
    if "Invalid enum value" in str(error):
        *choices, last = [repr(choice) for choice in _choices(kind)]
        return "must be " + (", ".join(choices) + f" or {last}" if choices else last)
    text = re.sub(r" - at `\$.*`$", "", str(error)).replace("Expected", "must be")
    return re.sub(r"`([^`]*)`", lambda found: " or ".join(_KINDS.get(k, k) for k in found[1].split(" | ")), text)


def _choices(kind: Any) -> list[Any]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [choice for part in typing.get_args(kind) for choice in _choices(part)]
