"""What a Singer catalog and the settings choose of a table: columns, key, replication key and method."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from singer_arrow import names, types
from tap_mssql.config.settings import Settings
from tap_mssql.config.stream_options import StreamOptions
from tap_mssql.errors import SelectionRefused
from tap_mssql.plan.select_list import Item, items
from tap_mssql.read.load import Wanted
from tap_mssql.server.discovery import Table
from tap_mssql.server.sql_types import SqlColumn

INCREMENTAL = "INCREMENTAL"
Entry = Mapping[str, Any]  # of a Singer catalog, as JSON


@dataclass(frozen=True)
class Choice:
    """One stream. `deselected` are the columns that the catalog leaves out; keys and the replication key are never left out."""

    table: Table
    options: StreamOptions
    key: tuple[str, ...]
    replication_key: str | None
    replication_method: str
    deselected: frozenset[str] = frozenset()

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.table.stream

    @cached_property
    def chosen(self) -> tuple[SqlColumn, ...]:
        """The selected columns, in the table's order."""
        needed = {*self.key, self.replication_key}
        chosen = tuple(c for c in self.table.columns if c.name not in self.deselected or c.name in needed)
        return chosen or self.table.columns

    @property
    def columns(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can be read."""
        return tuple(c for c in self.chosen if not c.unreadable)

    @property
    def unreadable(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can't be read."""
        return tuple(c for c in self.chosen if c.unreadable)

    @property
    def cursor_wanted(self) -> bool:
        """Whether only what a replication key says is new is read."""
        return self.replication_method == INCREMENTAL

    @cached_property
    def cursor(self) -> SqlColumn | None:
        """The replication key's column in INCREMENTAL mode. Raises SelectionRefused for one that can't be it."""
        if not self.cursor_wanted:
            return None
        column = self.table.column(str(self.replication_key))
        if column is None:
            raise SelectionRefused(
                f"stream {self.stream}: replication key {self.replication_key!r} is not one of its columns "
                f"({', '.join(c.name for c in self.table.columns)}); set metadata {self.stream}.replication-key"
            )
        if not column.orderable:
            raise SelectionRefused(
                f"stream {self.stream}: replication key {column.name} is {column.declared}, which has no order"
            )
        return column

    def wanted(self, state: Mapping[str, Any]) -> Wanted:
        """What a load reads after the stream's state (its bookmark). Raises SelectionRefused for what can't be read as asked."""
        wanted = Wanted(
            stream=self.stream,
            table=self.table,
            columns=self.columns,
            left_out=tuple(f"{c.name}: {c.unreadable}" for c in self.unreadable),
            key=self.key,
            cursor=self.cursor,
            bookmark=self._bookmark(state),
            lookback=self.options.lookback or 0,
            start_value=self.options.start_value,
            end_value=self.options.end_value,
        )
        if not wanted.columns:
            raise SelectionRefused(f"stream {self.stream}: none of its columns can be read; deselect the stream")
        unknown = [name for name in wanted.key if self.table.column(name) is None]
        if unknown:
            raise SelectionRefused(f"stream {self.stream}: key column {', '.join(unknown)} is not one of its columns")
        again = "lookback" if wanted.lookback else "start_value and end_value" if wanted.is_backfill else ""
        if again and not wanted.key:
            raise SelectionRefused(
                f"stream {self.stream}: {again} reads rows again, which without a key would double them in Delta; "
                f"set its key in stream_options: [{{pattern: {self.table.schema}.{self.table.name}, key: [\u2026]}}]"
            )
        return wanted

    def _bookmark(self, state: Mapping[str, Any]) -> str | None:
        value = state.get("replication_key_value")
        if self.cursor is None or state.get("replication_key") != self.replication_key or value is None:
            return None
        # Bookmarks of other taps end in a zone; only datetimeoffset has one in SQL Server.
        return str(value) if self.cursor.type == "datetimeoffset" else re.sub(r"(?<=\d)(Z|\+00:00)$", "", str(value))


def choice(table: Table, settings: Settings, entry: Entry | None) -> Choice:
    """What the settings say of a table, then its catalog entry, then the table itself."""
    options = settings.options_of(table.schema, table.name)
    root = _root(entry or {})
    key = options.key or _given(entry, "key_properties") or root.get("table-key-properties") or table.key
    replication_key = options.replication_key or _given(entry, "replication_key") or root.get("replication-key")
    method = options.replication_method or (INCREMENTAL if options.replication_key else None)
    for name in ("replication-method", "forced-replication-method"):
        method = method or _given(entry, "replication_method") or root.get(name)
    if method == "FULL_TABLE" and entry is None and replication_key:
        method = settings.default_replication_method
    method = method or (INCREMENTAL if replication_key else "FULL_TABLE")
    return Choice(table, options, tuple(key), replication_key, str(method), frozenset(_deselected(entry or {})))


def _given(entry: Entry | None, name: str) -> Any:
    return (entry or {}).get(name)


def _root(entry: Entry) -> Mapping[str, Any]:
    return next((m.get("metadata", {}) for m in entry.get("metadata", ()) if not m["breadcrumb"]), {})


def is_selected(entry: Entry) -> bool:
    """Whether a catalog selects a stream (hub.meltano.com/singer/spec: selected, selected-by-default, inclusion)."""
    if not entry.get("metadata"):
        return True
    return _selects(_root(entry), inherited=False)


def _deselected(entry: Entry) -> Iterable[str]:
    for each in entry.get("metadata", ()):
        if len(each["breadcrumb"]) == 2 and not _selects(each.get("metadata", {}), inherited=True):
            yield each["breadcrumb"][1]


def _selects(metadata: Mapping[str, Any], inherited: bool) -> bool:
    inclusion = metadata.get("inclusion")
    if inclusion in ("unsupported", "automatic"):
        return bool(inclusion == "automatic")
    for name in ("selected", "selected-by-default"):
        if metadata.get(name) is not None:
            return bool(metadata[name])
    return inherited


def refuse(choices: Sequence[Choice], settings: Settings) -> list[str]:
    """Raises SelectionRefused or NameRefused for what could not arrive, before any row is read; columns that are left out."""
    if not choices:
        raise SelectionRefused("no stream is selected; see `meltano select tap-mssql --list --all`")
    unreadable = [f"{c.stream}.{column.name}: {column.unreadable}" for c in choices for column in c.unreadable]
    if unreadable and settings.on_unreadable == "fail":
        raise SelectionRefused(
            "columns that can't be read are selected; nothing was read. Deselect them, or set on_unreadable to skip:\n  "
            + "\n  ".join(unreadable)
        )
    names.refuse_collisions((c.stream, names.table_name(c.table.schema, c.table.name)) for c in choices)
    for each in choices:
        names.column_names(each.stream, [i.name for i in items(each.stream, each.columns, settings)])
        each.wanted({})
    return unreadable


def schema_of(found: Iterable[Item]) -> dict[str, Any]:
    """The JSON Schema of a stream's records."""
    properties = {i.name: types.to_json_schema(i.field.type, i.source_type, i.field.nullable) for i in found}
    return {"type": "object", "properties": properties}
