"""meltano.yml as Meltano reads it, without Meltano: its plugins, the configuration of each, and the blocks that a run runs.

Meltano's import alone takes 2 CPU seconds. What this reader does not know of (`include_paths`, `env`, configuration of an
environment) is told by `beyond`, and then Meltano itself is asked; a test compares both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

MELTANO = Path(".venv/bin/meltano")  # relative to the project
JOB = "pipeline"  # the job in meltano.yml whose blocks are run
_REFERENCE = re.compile(r"(?P<escape>\\)?\$(?:\{(?P<curly>\w+)\}|(?P<plain>[A-Z][A-Z0-9_]*))")  # Meltano's utils.ENV_VAR_PATTERN
_ONE_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|([A-Z][A-Z0-9_]*))")


class Value(NamedTuple):
    """A setting's value, and the variable that it comes from; empty text where meltano.yml says it."""

    value: Any
    variable: str = ""


@dataclass(frozen=True)
class Plugin:
    """A plugin of meltano.yml, with what it inherits from."""

    kind: str
    declared: Mapping[str, Any]
    parent: Plugin | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.declared["name"])

    @property
    def settings(self) -> list[str]:
        """The names of its declared settings."""
        own = [str(each["name"]) for each in self.declared.get("settings", ())]
        return list(dict.fromkeys([*(self.parent.settings if self.parent else []), *own]))

    def can(self, capability: str) -> bool:
        """Whether it has a capability: `check` and `doctor` are ours, and its executable answers options of these names."""
        return capability in self.declared.get("capabilities", ()) or bool(self.parent and self.parent.can(capability))

    @property
    def executable(self) -> Path:
        """Where Meltano installed it, relative to the project."""
        base = self.parent or self
        return Path(".meltano", self.kind, base.name, "venv/bin", str(base.declared.get("executable", base.name)))

    @property
    def prefixes(self) -> list[str]:
        """What its variables begin with; the first is the one to tell people."""
        namespace = self.declared.get("namespace") or self.name.replace("-", "_")
        return list(dict.fromkeys(to_variable(text) for text in (self.name, str(namespace))))

    def variable(self, setting: str) -> str:
        """The variable to set a setting by: the one that its configuration refers to, else the plugin's own."""
        given = self._flat.get(setting)
        found = _ONE_REFERENCE.fullmatch(given) if isinstance(given, str) else None
        return next(filter(None, found.groups())) if found else f"{self.prefixes[0]}_{to_variable(setting)}"

    @property
    def variables(self) -> set[str]:
        """Every variable that sets one of its settings."""
        own = {f"{prefix}_{to_variable(name)}" for prefix in self.prefixes for name in self.settings}
        return own | {match["curly"] or match["plain"] for text in _texts(self._flat) for match in _REFERENCE.finditer(text)}

    @cached_property
    def _flat(self) -> dict[str, Any]:
        return flat(self.declared.get("config") or {})

    def values(self, environment: Mapping[str, str]) -> dict[str, Value]:
        """The settings with a value, by dotted name."""
        found: dict[str, Value] = self.parent.values(environment) if self.parent else {}
        for setting in self.declared.get("settings", ()):
            if setting.get("value") is not None:
                found.setdefault(str(setting["name"]), _expanded(setting["value"], environment))
        for name, value in self._flat.items():
            found[name] = _expanded(value, environment)
        for name in dict.fromkeys([*self.settings, *found]):
            for variable in (f"{prefix}_{to_variable(name)}" for prefix in self.prefixes):
                if variable in environment:
                    found[name] = Value(environment[variable], variable)
        return {name: value for name, value in found.items() if value.value is not None}

    def config(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """The configuration as Meltano hands it over: dotted names as nested objects."""
        return nested({name: value.value for name, value in self.values(environment).items()})


class Block(NamedTuple):
    """A tap and its target."""

    tap: Plugin
    target: Plugin


class Project:
    """A folder with a meltano.yml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._yml: dict[str, Any] = YAML(typ="safe", pure=True).load(folder / "meltano.yml") or {}

    @cached_property
    def plugins(self) -> dict[str, Plugin]:
        """All plugins by name."""
        declared = {
            str(each["name"]): (kind, each) for kind, listed in (self._yml.get("plugins") or {}).items() for each in listed
        }

        def plugin(name: str) -> Plugin:
            kind, each = declared[name]
            parent = each.get("inherit_from")
            return Plugin(kind, each, plugin(parent) if parent in declared and parent != name else None)

        return {name: plugin(name) for name in declared}

    @property
    def blocks(self) -> list[Block]:
        """The blocks of the job `pipeline`, in their order."""
        job: dict[str, Any] = next((each for each in self._yml.get("jobs") or () if each["name"] == JOB), {"tasks": []})
        names = [name for task in job["tasks"] for name in (task.split() if isinstance(task, str) else task)]
        pairs = zip(names[::2], names[1::2], strict=True)
        return [Block(self.plugins[tap], self.plugins[target]) for tap, target in pairs]

    @property
    def environment(self) -> str:
        """The Meltano environment that a run is in."""
        return str(self._yml.get("default_environment") or "")

    def state_id(self, block: Block) -> str:
        """What Meltano keeps a block's state under."""
        name = f"{block.tap.name}-to-{block.target.name}"
        return f"{self.environment}:{name}" if self.environment else name

    @property
    def state_uri(self) -> str:
        """Where Meltano keeps states, before variables are expanded."""
        return str((self._yml.get("state_backend") or {}).get("uri") or "systemdb")

    @property
    def beyond(self) -> bool:
        """Whether meltano.yml uses something that only Meltano itself can resolve."""
        environments = self._yml.get("environments") or ()
        return (
            bool(self._yml.get("include_paths") or self._yml.get("env"))
            or any(each.get("config") or each.get("env") for each in environments)
            or any(plugin.declared.get("env") for plugin in self.plugins.values())
        )


def to_variable(text: str) -> str:
    """`batch_config.storage.root` → `BATCH_CONFIG_STORAGE_ROOT` (Meltano's utils.to_env_var)."""
    return re.sub(r"[^A-Za-z0-9]", "_", text).upper()


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as nested objects."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        *above, last = name.split(".")
        place = found
        for step in above:
            place = place.setdefault(step, {})
        place[last] = value
    return found


def expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """A value with its references to variables replaced; a missing variable is empty text."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _resolved(match, environment), value)
    if isinstance(value, Mapping):
        return {name: expanded(each, environment) for name, each in value.items()}
    return [expanded(each, environment) for each in value] if isinstance(value, list) else value


def _resolved(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match["escape"]:
        return match[0][1:]
    return environment.get(match["curly"] or match["plain"], "")


def _expanded(value: Any, environment: Mapping[str, str]) -> Value:
    found = expanded(value, environment)
    one = _ONE_REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return Value(
        None if value and not found and isinstance(value, str) else found, next(filter(None, one.groups())) if one else ""
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
