"""What a Singer catalog and the settings choose of a table: columns, key, replication key and method."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
from msgspec import Struct

from singer_arrow import bookmarks, catalog, names, types
from singer_arrow.again import AGAIN
from singer_arrow.bookmarks import OnNewColumn
from singer_arrow.catalog import FULL_TABLE, INCREMENTAL, LOG_BASED, Entry
from singer_arrow.documents import OnDelete
from singer_arrow.errors import ArrowSingerError, NameRefused, SelectionRefused
from tap_mssql.config.settings import Settings
from tap_mssql.config.stream_options import StreamOptions
from tap_mssql.plan.select_list import select_list
from tap_mssql.plan.table_request import ON_DELETE, QUERY, WHERE, TableRequest
from tap_mssql.plan.tracking import Since
from tap_mssql.plan.window import OPEN, UNIQUE
from tap_mssql.server.sql_types import SqlColumn
from tap_mssql.server.table import Table

AUTO = "AUTO"  # of default_replication_method
_WITHOUT_ZONE = frozenset({"date", "datetime", "smalldatetime", "datetime2", "time"})


class StreamChoice(Struct, frozen=True, dict=True):
    """One stream. `deselected` are the columns that the catalog leaves out; keys and the replication key are never left out.

    `replication_method` is in capitals, and may be one that is not known: see `request`.
    """

    table: Table
    options: StreamOptions
    key: tuple[str, ...]
    replication_key: str | None
    replication_method: str
    deselected: frozenset[str] = frozenset()
    on_new_column: OnNewColumn = "backfill"
    deletes: OnDelete = "apply"
    on_null_replication_key: str = "fail"

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.table.stream

    @cached_property
    def selected(self) -> tuple[SqlColumn, ...]:
        """The selected columns, in the table's order."""
        needed = {*self.key, self.replication_key}
        selected = tuple(c for c in self.table.columns if c.name not in self.deselected or c.name in needed)
        return selected or self.table.columns

    @property
    def columns(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can be read."""
        return tuple(c for c in self.selected if not c.unreadable)

    @property
    def unreadable(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can't be read."""
        return tuple(c for c in self.selected if c.unreadable)

    @property
    def is_incremental(self) -> bool:
        """Whether only what a replication key says is new is read."""
        return self.replication_method == INCREMENTAL

    @cached_property
    def replication_column(self) -> SqlColumn | None:
        """The replication key's column in INCREMENTAL mode. Raises SelectionRefused for one that can't be it."""
        if not self.is_incremental:
            return None
        if self.replication_key is None:
            raise SelectionRefused(
                f"stream {self.stream} is INCREMENTAL but has no replication key",
                action=f"set metadata {self.stream}.replication-key, or replication_key in stream_options",
            )
        column = self.table.column(self.replication_key)
        if column is None:
            raise SelectionRefused(
                f"stream {self.stream}: replication key {self.replication_key!r} is not one of its columns "
                f"({', '.join(c.name for c in self.table.columns)})",
                action=f"set metadata {self.stream}.replication-key to one of them",
            )
        if not column.orderable:
            raise SelectionRefused(
                f"stream {self.stream}: replication key {column.name} is {column.declared}, which has no order",
                action="choose a column of numbers, dates or text, or read the table as FULL_TABLE",
            )
        return column

    @property
    def is_log_based(self) -> bool:
        """Whether only what the server says has changed is read."""
        return self.replication_method == LOG_BASED

    def request(self, state: Mapping[str, Any]) -> TableRequest:
        """What a load reads after the stream's state (its bookmark). Raises SelectionRefused for what can't be read as asked."""
        if self.table.problem:
            raise SelectionRefused(
                f"stream {self.stream}: {self.table.problem}",
                safe="Nothing of this stream was read, Delta is as it was",
                action="correct it in queries, or leave it out with ! in streams",
            )
        if self.replication_method not in (FULL_TABLE, INCREMENTAL, LOG_BASED):
            raise SelectionRefused(
                f"stream {self.stream}: replication method {self.replication_method} is not supported",
                action=f"set replication-method to {FULL_TABLE}, {INCREMENTAL} or {LOG_BASED} in the catalog",
            )
        if self.is_log_based and self.table.has_primary_key and set(self.key) != set(self.table.key):
            raise SelectionRefused(
                f"stream {self.stream} is LOG_BASED, whose deleted rows are known by the table's primary key "
                f"({', '.join(self.table.key)}), and its key is ({', '.join(self.key)})",
                action="leave its key to the table, or read it by another method",
            )
        lacking = [c.name for c in self.unreadable if c.name in self.key]
        if lacking and self.replication_method != FULL_TABLE:
            raise SelectionRefused(
                f"stream {self.stream} is {self.replication_method}, and column {', '.join(lacking)} of its key can't be read: "
                "rows would be merged by it",
                action="name other columns in its key in stream_options, or read it as FULL_TABLE",
            )
        by_key = self.options if self.is_incremental else None  # patterns say it of streams of all methods
        request = TableRequest(
            stream=self.stream,
            table=self.table,
            columns=self.columns,
            left_out=tuple(f"{c.name}: {c.unreadable}" for c in self.unreadable),
            key=() if lacking else self.key,
            set_key=self.options.key,
            replication_key=self.replication_column,
            bookmark=self._bookmark(state),
            bookmark_is_open=state.get(OPEN) is True,
            again=state.get(AGAIN),
            skips_nulls=(self.options.on_null_replication_key or self.on_null_replication_key) == "skip",
            lookback=(by_key.lookback or 0) if by_key else 0,
            start_value=by_key.start_value if by_key else None,
            end_value=by_key.end_value if by_key else None,
            known_columns=bookmarks.known_columns(state),
            on_new_column=self.options.on_new_column or self.on_new_column,
            where=self.where,
            column_notes=(*self._other_replication_key(state), *self._other_rows(state)),
            is_log_based=self.is_log_based,
            since=Since.of(state) if self.is_log_based and not self._other_rows(state) else None,
            on_delete=self.on_delete,
        )
        if not request.columns:
            raise SelectionRefused(f"stream {self.stream}: none of its columns can be read", action="deselect the stream")
        unknown = [name for name in request.key if self.table.column(name) is None]
        if unknown:
            raise SelectionRefused(
                f"stream {self.stream}: key column {', '.join(unknown)} is not one of its columns",
                action=f"name columns of {self.table.schema}.{self.table.name} in stream_options or the catalog",
            )
        repeats = "lookback" if request.lookback else "start_value and end_value" if request.is_backfill else ""
        if repeats and not request.key:
            pattern = f"{self.table.schema}.{self.table.name}"
            raise SelectionRefused(
                f"stream {self.stream}: {repeats} reads rows again, which without a key would be twice in Delta",
                action=f"set its key in stream_options: [{{pattern: {pattern}, key: [\u2026]}}]",
            )
        if request.is_backfill and request.column_notes:
            raise SelectionRefused(
                f"stream {self.stream}: {request.column_notes[0]}, and start_value or end_value would make it a part",
                action="load it once without them",
            )
        return request

    def _other_replication_key(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """What is said where the bookmark is of another replication key than the stream has now."""
        before = state.get("replication_key")
        if self.is_log_based and before:
            return (f"it was read by the replication key {before}, and is LOG_BASED: this load reads the stream whole",)
        if not before or self.replication_column is None or before == self.replication_key:
            return ()
        return (f"the replication key was {before} and is {self.replication_key}: this load reads the stream whole",)

    @property
    def on_delete(self) -> OnDelete:
        """What rows become in Delta that the server says are deleted."""
        return (self.options.deletes or self.deletes) if self.is_log_based else "apply"

    @property
    def where(self) -> str:
        """The condition on the stream's rows; empty text for all of them."""
        return (self.options.where or "").strip()

    def _other_rows(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """What is said where the bookmark is of another condition, query or key than the stream has now."""
        if not (self.is_incremental or self.is_log_based) or bookmarks.position(state) is None:
            return ()
        if str(state.get(QUERY) or "") != self.table.fingerprint:
            return ("its query is not the one it was: this load reads the stream whole",)
        if self.is_incremental and (told := bookmarks.other_key(state, self.key)):
            return told
        if self.is_log_based and state.get(ON_DELETE) == "mark" and self.on_delete == "apply":
            return ("rows that were deleted were marked, and are to go (deletes): this load reads the stream whole",)
        before = str(state.get(WHERE) or "")
        if before == self.where:
            return ()
        was, now = (each or "not set" for each in (before, self.where))
        return (f"where was {was} and is {now}: this load reads the stream whole",)

    def _bookmark(self, state: Mapping[str, Any]) -> str | None:
        value = state.get("replication_key_value")
        if self.replication_column is None or state.get("replication_key") != self.replication_key or value is None:
            return None
        if self._other_rows(state):
            return None
        # Bookmarks of other taps end in a zone, which these types do not have in SQL Server.
        return re.sub(r"(?<=\d)(Z|\+00:00)$", "", str(value)) if self.replication_column.type in _WITHOUT_ZONE else str(value)


def choose(table: Table, settings: Settings, entry: Entry | None) -> StreamChoice:
    """What the settings say of a table, then its catalog entry, then the table itself."""
    options = settings.options_of(table.schema, table.name)
    root = catalog.root(entry or {})
    key = options.key or _given(entry, "key_properties") or root.get("table-key-properties") or table.key
    replication_key = options.replication_key or _given(entry, "replication_key") or root.get("replication-key")
    method = options.replication_method or (INCREMENTAL if options.replication_key else None)
    for name in ("replication-method", "forced-replication-method"):
        method = method or _given(entry, "replication_method") or root.get(name)
    method = method or (INCREMENTAL if replication_key else settings.default_replication_method)
    method = str(method).strip().upper()
    if method == AUTO:
        method, replication_key = _by_itself(table)
    return StreamChoice(
        table,
        options,
        tuple(key),
        replication_key,
        method,
        catalog.deselected(entry or {}),
        settings.on_new_column,
        settings.deletes,
        settings.on_null_replication_key,
    )


def _by_itself(table: Table) -> tuple[str, str | None]:
    """The best method of a table, and its replication key: what the server tracks, a rowversion, else the whole table."""
    version = next((column.name for column in table.columns if column.type in UNIQUE), None)
    if table.is_tracked and table.has_primary_key:
        return LOG_BASED, None
    return (INCREMENTAL, version) if version and table.key else (FULL_TABLE, None)


def _given(entry: Entry | None, name: str) -> Any:
    return (entry or {}).get(name)


def check(choices: Sequence[StreamChoice], settings: Settings) -> dict[str, ArrowSingerError]:
    """The streams that cannot be read as asked, each with why; the others can. Called before any row is read.

    Where two would be one table, neither can. Raises SelectionRefused where there is no stream at all.
    """
    if not choices:
        raise SelectionRefused(
            f"no stream of database {settings.database!r} is selected",
            action="select one; `meltano select tap-mssql --list --all` lists them",
        )
    refused: dict[str, ArrowSingerError] = {}
    of_table: dict[str, list[str]] = {}
    for each in choices:
        try:
            of_table.setdefault(names.table_name(each.table.schema, each.table.name), []).append(each.stream)
            _check(each, settings)
        except ArrowSingerError as error:
            refused[each.stream] = error
    for table, streams in of_table.items():
        try:
            names.refuse_collisions((stream, table) for stream in streams)
        except NameRefused as error:
            refused |= dict.fromkeys(streams, error)
    return refused


def _check(choice: StreamChoice, settings: Settings) -> None:
    """Raises SelectionRefused or NameRefused for a stream that could not arrive."""
    unreadable = [f"{column.name}: {column.unreadable}" for column in choice.unreadable]
    if unreadable and settings.on_unreadable == "fail":
        raise SelectionRefused(
            f"stream {choice.stream}: columns are selected that can't be read: {'; '.join(unreadable)}",
            action="deselect them, or set on_unreadable to skip",
        )
    names.column_names(choice.stream, [item.name for item in select_list(choice.stream, choice.columns, settings)])
    choice.request({})


def left_out(choices: Sequence[StreamChoice]) -> list[str]:
    """The columns that are left out because they can't be read, each with why."""
    return [f"{c.stream}.{column.name}: {column.unreadable}" for c in choices for column in c.unreadable]


def json_schema(schema: pa.Schema, source_types: Mapping[str, str]) -> dict[str, Any]:
    """The JSON Schema of a stream's records."""
    properties = {f.name: types.to_json_schema(f.type, source_types[f.name], f.nullable) for f in schema}
    return {"type": "object", "properties": properties}


def discovered_schema(table: Table, settings: Settings) -> dict[str, Any]:
    """The schema of all columns, unreadable ones among them, so that they can be deselected; with the server's descriptions."""
    items = select_list(table.stream, [c for c in table.columns if not c.unreadable], settings)
    schema = json_schema(pa.schema([i.field for i in items]), {i.name: i.source_type for i in items})
    for column in table.columns:
        if column.unreadable:
            schema["properties"][column.name] = {"type": ["string", "null"], "x-sql-datatype": column.declared}
        if column.description:
            schema["properties"][column.name]["description"] = column.description
    return schema | ({"description": table.description} if table.description else {})
