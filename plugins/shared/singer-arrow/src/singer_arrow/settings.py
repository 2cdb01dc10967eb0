"""Settings as typed models, on one base: every problem is reported at once, secrets are never shown, and JSON Schema, the
documentation and `--check` come from the same declaration.

A model is a subclass of `Settings` whose fields are `Annotated[type, Meta(description=…, examples=[…])]`. msgspec imports in
milliseconds, which counts: every run of the pipeline starts several processes.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from singer_arrow.errors import SettingsRefused

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
_BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}  # beside msgspec's own: true, false, 1, 0


class Secret:
    """Text that nobody sees by accident: it is neither printed, nor logged, nor written as JSON."""

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"


def no_secret() -> Any:
    """The default of a setting that holds a secret: none."""
    return msgspec.field(default_factory=Secret)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one setting.

    `setting` is its place in the configuration (`port`, `streams[Orders].path`), `what` completes the sentence that begins with
    it; `value` is what was given, as text, None where nothing was given or it is secret; `example` is a value that would do.
    """

    setting: str
    what: str
    value: str | None = None
    example: str = ""


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Base of all settings models; every field has a description, and a default unless it is required."""

    label: ClassVar[str] = "name"  # the field that names one of several entries in messages
    fixed: ClassVar[Mapping[str, bool]] = {}  # published settings that have one value only here
    ignored: ClassVar[frozenset[str]] = frozenset()  # settings that others read

    @classmethod
    def check(cls, config: Mapping[str, Any], place: str = "") -> tuple[Self | None, list[Problem]]:
        """The settings that a configuration gives, or None and every problem it has; `place` is where it stands in another.

        Blank and null values count as not given. Text stands for numbers, booleans, lists and JSON, as environment variables
        hold them.
        """
        given = {name: value for name, value in cls.prepared(config).items() if name not in cls.ignored and not _is_blank(value)}
        fields = _fields(cls)
        problems = [Problem(setting=place + name, what=_unknown(name, fields)) for name in given if name not in fields]
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in given:
                found = _converted(field.type, given[name], place + name)
                problems += [
                    _with_example(problem, cls, field) if problem.setting == place + name else problem
                    for problem in found.problems
                ]
                if found.problems:
                    if found.value:  # the entries of a list that are right: they are looked at further
                        values[field.name] = found.value
                elif name in cls.fixed and found.value is not cls.fixed[name]:
                    problems.append(Problem(setting=place + name, what=f"is always {str(cls.fixed[name]).lower()} here"))
                else:
                    values[field.name] = found.value
            elif field.required:
                problems.append(_with_example(Problem(setting=place + name, what="is missing"), cls, field))
            else:
                values[field.name] = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        told = {problem.setting for problem in problems}
        for name, what in cls.contradictions(values):
            if place + name not in told:
                shows = name in fields and what.startswith("must be")
                problem = Problem(
                    setting=place + name, what=what, value=_shown(fields[name].type, given.get(name)) if shows else None
                )
                problems.append(_with_example(problem, cls, fields[name]) if name in fields else problem)
        return (None, problems) if problems else (cls(**values), [])

    @classmethod
    def parse(cls, config: Mapping[str, Any], program: str) -> Self:
        """The settings that a configuration gives. Raises SettingsRefused with every problem it has."""
        settings, problems = cls.check(config)
        if settings is None:
            raise SettingsRefused(program, [line(problem) for problem in problems])
        return settings

    @classmethod
    def prepared(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration with other accepted spellings replaced by the declared ones; unchanged unless a model says more."""
        return config

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Problems that no type can tell: setting and what is wrong. `values` has what is right by itself, defaults included."""
        return ()


def line(problem: Problem) -> str:
    """A problem as one line: `port: must be a whole number <= 65535, not 70000 (for example port: 1433)`."""
    value = f", not {problem.value}" if problem.value is not None and problem.what.startswith("must be") else ""
    example = f" (for example {problem.setting.rpartition('.')[2]}: {problem.example})" if problem.example else ""
    return f"{problem.setting}: {problem.what}{value}{example}"


def json_schema(model: type[msgspec.Struct]) -> dict[str, Any]:
    """The model as JSON Schema, without references."""
    _, components = msgspec.json.schema_components([model], schema_hook=_schema, ref_template="#/$defs/{name}")
    schema = _inlined(components[model.__name__], components)
    assert isinstance(schema, dict)
    for property_ in schema["properties"].values():
        if "enum" in property_:
            property_.setdefault("type", "string")
    return schema


def metas(model: type[msgspec.Struct]) -> dict[str, Meta]:
    """What is said of each setting: description, examples."""
    return {name: _meta(field.type) for name, field in _fields(model).items()}


@cache
def _fields(model: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """The fields by their names in a configuration. Finding them compiles each annotation: 2 ms of a model of 30."""
    return {field.encode_name: field for field in msgspec.structs.fields(model)}


def is_secret(kind: Any) -> bool:
    """Whether a type holds a secret anywhere in it, or says so of itself: `Meta(extra={"secret": True})`."""
    said = any((part.extra or {}).get("secret") for part in getattr(kind, "__metadata__", ()) if isinstance(part, Meta))
    return said or kind is Secret or any(is_secret(part) for part in typing.get_args(kind))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean port?` where a known name is near, else empty text."""
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


# --- conversion ------------------------------------------------------------------------------------------------------


class _Found(msgspec.Struct):
    value: Any = None
    problems: Sequence[Problem] = ()


def _converted(kind: Any, value: Any, place: str) -> _Found:
    """A value as its type, entry by entry where it holds other models."""
    try:
        value = _as_written(kind, value)
    except ValueError as error:
        return _Found(problems=[Problem(setting=place, what=str(error), value=_shown(kind, value))])
    if nested := _nested(kind):
        return _nested_values(nested, value, place)
    try:
        return _Found(msgspec.convert(value, kind, strict=False, dec_hook=_decoded))
    except msgspec.ValidationError as error:
        return _Found(problems=[Problem(setting=place, what=_words(error, kind), value=_shown(kind, value))])


def _nested(kind: Any) -> type[Settings] | None:
    """The model of a list's entries; None for other types."""
    base = _bare(kind)
    for part in typing.get_args(base) if typing.get_origin(base) in (tuple, list) else ():
        if isinstance(part, type) and issubclass(part, Settings):
            return part
    return None


def _nested_values(model: type[Settings], value: Any, place: str) -> _Found:
    if not isinstance(value, list | tuple):
        return _Found(problems=[Problem(setting=place, what=f"must be a list of objects, each with its {model.label}")])
    found, problems = [], []
    for number, each in enumerate(value):
        if not isinstance(each, Mapping):
            problems.append(Problem(setting=f"{place}[{number}]", what="must be an object"))
            continue
        one, wrong = model.check(each, f"{place}[{each.get(model.label, number)}].")
        problems += wrong
        found += [one] if one is not None else []
    return _Found(tuple(found), problems)


def _as_written(kind: Any, value: Any) -> Any:
    """What text stands for: JSON, a list, a boolean. Raises ValueError for text that is no JSON where it must be."""
    base = _bare(kind)
    if isinstance(value, bool) and typing.get_origin(base) is Literal and {"yes", "no"} <= set(typing.get_args(base)):
        return "yes" if value else "no"  # YAML 1.1 reads a bare yes as a boolean
    if not isinstance(value, str):
        return value
    if base is bool:
        return _BOOLEANS.get(value.strip().lower(), value.strip())
    if typing.get_origin(base) in (tuple, list, dict) or base is dict:
        return _list_or_object(base, value.strip())
    return value if base in (str, Secret) else value.strip()


def _list_or_object(base: Any, text: str) -> Any:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"is not valid JSON: {error}") from None
    entry = _bare(typing.get_args(base)[0]) if typing.get_origin(base) in (tuple, list) else None
    is_texts = entry is str or typing.get_origin(entry) is Literal
    return [part.strip() for part in text.split(",") if part.strip()] if is_texts else text


def _bare(kind: Any) -> Any:
    """The type without annotations and without None."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        return _bare(parts[0]) if len(parts) == 1 else kind
    return kind


def _decoded(kind: type, value: Any) -> Any:
    if kind in (Path, Secret):
        if not isinstance(value, str):
            raise ValueError("Expected `str`")
        return kind(value)
    raise NotImplementedError(kind)  # msgspec: not a type of ours


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


# --- words -----------------------------------------------------------------------------------------------------------


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"there is no such setting{nearest(name, known)}"


def _with_example(problem: Problem, model: type[Settings], field: msgspec.structs.FieldInfo) -> Problem:
    if problem.example or field.encode_name in model.fixed:
        return problem
    return msgspec.structs.replace(problem, example=example(field))


def example(field: msgspec.structs.FieldInfo) -> str:
    """A value of a setting as one would write it: its first example, else its default; empty where there is neither."""
    examples = _meta(field.type).examples
    if not examples and field.default in (msgspec.NODEFAULT, None, ""):
        return ""
    value = examples[0] if examples else field.default
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(kind: Any, value: Any) -> str | None:
    if value is None or is_secret(kind):
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return repr(text) if isinstance(value, str) else text if len(text) <= 80 else text[:77] + "…"


def _words(error: msgspec.ValidationError, kind: Any) -> str:
    """The error as one says it: `must be a whole number >= 1`."""
    if "Invalid enum value" in str(error):
        *choices, last = [str(choice) or "empty" for choice in _choices(kind)]
        return "must be " + (", ".join(choices) + f" or {last}" if choices else last)
    text = re.sub(r" - at `\$.*`$", "", str(error)).replace("Expected", "must be")
    text = re.sub(r", got `[^`]*`$", "", text).replace(" | null`", "`")
    return re.sub(r"`([^`]*)`", lambda found: " or ".join(_KINDS.get(k, k) for k in found[1].split(" | ")), text)


def _choices(kind: Any) -> list[Any]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [choice for part in typing.get_args(kind) for choice in _choices(part)]


def _meta(kind: Any) -> Meta:
    said = [part for part in getattr(kind, "__metadata__", ()) if isinstance(part, Meta) and part.description]
    return said[-1] if said else Meta()


# --- JSON Schema -----------------------------------------------------------------------------------------------------


def _schema(kind: type) -> dict[str, Any]:
    return {"type": "string", "format": "password", "writeOnly": True} if kind is Secret else {"type": "string", "format": "path"}


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(each, components) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components) | rest
    found = {name: _inlined(value, components) for name, value in schema.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found
