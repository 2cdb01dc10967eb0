"""What a Singer catalog and the settings choose of a stream: key, replication key and method, columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from singer_arrow import catalog
from singer_arrow.catalog import FULL_TABLE, INCREMENTAL, Entry
from singer_arrow.errors import SelectionRefused
from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.schemas import JsonSchema


class StreamChoice(Struct, frozen=True):
    """One stream. `deselected` are the columns that the catalog leaves out; keys and the replication key never are."""

    config: StreamConfig
    key: tuple[str, ...]
    replication_key: str | None
    replication_method: str
    deselected: frozenset[str] = frozenset()

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.config.name

    @property
    def full_schema(self) -> JsonSchema:
        """The JSON Schema of all columns."""
        assert self.config.schema is not None, "a schema is inferred before a stream is chosen"
        return self.config.schema

    @property
    def is_incremental(self) -> bool:
        """Whether only what is new by the replication key is read."""
        return self.replication_method == INCREMENTAL

    @property
    def columns(self) -> list[str]:
        """The selected columns, in the schema's order."""
        needed = {*self.key, self.replication_key}
        return [name for name in self.full_schema["properties"] if name in needed or name not in self.deselected]

    def names(self, found: Sequence[str]) -> list[str]:
        """Of the columns of a page those that are selected, or that nobody declared; the text beside a time goes with it."""
        selected, declared = set(self.columns), self.full_schema["properties"]
        return [name for name in found if name in selected or (name not in declared and self._base(name) not in self.deselected)]

    @staticmethod
    def _base(name: str) -> str:
        return name.removesuffix("_100ns")

    @property
    def schema(self) -> JsonSchema:
        """The JSON Schema of the selected columns."""
        properties = {name: self.full_schema["properties"][name] for name in self.columns}
        return {**self.full_schema, "properties": properties}

    def reached(self, bookmark: Mapping[str, Any]) -> str | None:
        """The value that the bookmark holds; None for a full load, and for the first load of an incremental stream."""
        if not self.is_incremental or bookmark.get("replication_key") != self.replication_key:
            return None
        value = bookmark.get("replication_key_value")
        return None if value is None else str(value)

    def start(self, bookmark: Mapping[str, Any]) -> str | None:
        """What the load reads from: the bookmark, or start_date without one; None for a full load."""
        return (self.reached(bookmark) or self.config.start_date) if self.is_incremental else None

    def lookback(self, bookmark: Mapping[str, Any]) -> float:
        """How far before its bookmark the load reads; 0 without one: nothing lies before start_date."""
        return 0 if self.reached(bookmark) is None else self.config.lookback


def choose(config: StreamConfig, entry: Entry | None) -> StreamChoice:
    """What a catalog entry says of a stream, then what its settings say."""
    entry = entry or {}
    root = catalog.root(entry)
    key = entry.get("key_properties") or root.get("table-key-properties") or config.primary_keys
    replication_key = entry.get("replication_key") or root.get("replication-key") or config.replication_key
    method = entry.get("replication_method") or root.get("replication-method") or root.get("forced-replication-method")
    method = str(method or (INCREMENTAL if replication_key else FULL_TABLE)).strip().upper()
    return StreamChoice(config, tuple(key), replication_key, method, catalog.deselected(entry))


def selected(streams: Sequence[StreamConfig], given: Mapping[str, Any] | None) -> list[tuple[StreamConfig, Entry | None]]:
    """The streams that a catalog selects, each with its entry; all of them without a catalog."""
    if given is None:
        return [(stream, None) for stream in streams]
    entries = catalog.selected(given)
    return [(stream, entries[stream.name]) for stream in streams if stream.name in entries]


def known(stream: StreamConfig, entry: Entry | None) -> StreamConfig:
    """The stream with the catalog's schema where it declares none."""
    if stream.schema is None and entry and (entry.get("schema") or {}).get("properties"):
        return replace(stream, schema=entry["schema"])
    return stream


def check(choice: StreamChoice) -> None:
    """Raises SelectionRefused for a stream that cannot be read as asked."""
    if choice.replication_method not in (FULL_TABLE, INCREMENTAL):
        raise SelectionRefused(
            f"stream {choice.stream}: replication method {choice.replication_method} is not supported",
            action=f"set replication-method to {FULL_TABLE} or {INCREMENTAL} in the catalog",
        )
    properties = choice.full_schema["properties"]
    needed = {*choice.key, *([choice.replication_key] if choice.is_incremental and choice.replication_key else [])}
    unknown = sorted(needed - properties.keys())
    if unknown:
        raise SelectionRefused(
            f"stream {choice.stream}: {', '.join(unknown)} is not one of its columns ({', '.join(properties)})",
            action="name columns of the schema as primary_keys and replication_key, in the settings and in the catalog",
        )
    if choice.is_incremental and not choice.replication_key:
        raise SelectionRefused(
            f"stream {choice.stream} is INCREMENTAL but has no replication key",
            action="set replication_key in the stream's settings, or choose FULL_TABLE",
        )
    start = choice.config.start_date or ""
    if choice.is_incremental and (problem := schemas.start_problem(choice.full_schema, str(choice.replication_key), start)):
        raise SelectionRefused(f"stream {choice.stream}: start_date {problem}", action=schemas.SET_START)
