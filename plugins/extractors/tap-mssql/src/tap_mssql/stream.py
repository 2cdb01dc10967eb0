"""A table as a Singer stream: what is asked for, and what was read as BATCH or RECORD messages."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_arrow import types
from tap_mssql import records
from tap_mssql.catalog import Table
from tap_mssql.columns import SqlColumn
from tap_mssql.errors import SelectionRefused
from tap_mssql.items import Item, items
from tap_mssql.load import Load, Wanted
from tap_mssql.options import StreamOptions
from tap_mssql.sdk import BaseBatchFileEncoding, BatchConfig, Stream
from tap_mssql.settings import Settings

if TYPE_CHECKING:
    from tap_mssql.tap import TapMssql

PARQUET = BaseBatchFileEncoding(format="parquet", compression="zstd")
RUN_ID = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())


class TableStream(Stream):
    """One table or view. `load` is what was read of it; without one, the stream reads by itself when it is synced."""

    def __init__(self, tap: TapMssql, table: Table, options: StreamOptions) -> None:
        self.table = table
        self.options = options
        self.load: Load | None = None
        self._mssql = tap
        super().__init__(tap, schema=self._discovered(tap.settings), name=table.stream)
        self.primary_keys = options.key or table.key
        self.replication_key = options.replication_key
        method = options.replication_method or ("INCREMENTAL" if options.replication_key else None)
        self.forced_replication_method = method

    def _discovered(self, settings: Settings) -> dict[str, Any]:
        """The schema of all columns, unreadable ones among them, so that they can be deselected."""
        readable = [c for c in self.table.columns if not c.unreadable]
        schema = schema_of(items(self.table.stream, readable, settings))
        for column in self.table.columns:
            if column.unreadable:
                schema["properties"][column.name] = {"type": ["string", "null"], "x-sql-datatype": column.declared}
            if column.description:
                schema["properties"][column.name]["description"] = column.description
        return schema | ({"description": self.table.description} if self.table.description else {})

    @property
    def is_sorted(self) -> bool:
        """False: rows come in key order, not in the replication key's."""
        return False

    @cached_property
    def columns(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can be read, in the table's order; keys and the replication key are always selected."""
        return tuple(c for c in self._chosen if not c.unreadable)

    @cached_property
    def unreadable(self) -> tuple[SqlColumn, ...]:
        """The selected columns that can't be read."""
        return tuple(c for c in self._chosen if c.unreadable)

    @cached_property
    def _chosen(self) -> tuple[SqlColumn, ...]:
        needed = {*self.primary_keys, self.replication_key}
        chosen = tuple(c for c in self.table.columns if self.mask[("properties", c.name)] or c.name in needed)
        return chosen or self.table.columns

    @cached_property
    def cursor_column(self) -> SqlColumn | None:
        """The replication key's column in INCREMENTAL mode. Raises SelectionRefused for one that can't be it."""
        if self.replication_method != "INCREMENTAL":
            return None
        column = self.table.column(str(self.replication_key))
        if column is None:
            raise SelectionRefused(
                f"stream {self.name}: replication key {self.replication_key!r} is not one of its columns "
                f"({', '.join(c.name for c in self.table.columns)}); set metadata {self.name}.replication-key"
            )
        if not column.orderable:
            raise SelectionRefused(f"stream {self.name}: replication key {column.name} is {column.declared}, which has no order")
        return column

    def wanted(self) -> Wanted:
        """What a load of this stream reads. Raises SelectionRefused for what can't be read as asked."""
        wanted = Wanted(
            stream=self.name,
            table=self.table,
            columns=self.columns,
            left_out=tuple(f"{c.name}: {c.unreadable}" for c in self.unreadable),
            key=tuple(self.primary_keys),
            cursor=self.cursor_column,
            bookmark=self._bookmark(),
            lookback=self.options.lookback,
            start_value=self.options.start_value,
            end_value=self.options.end_value,
        )
        if not wanted.columns:
            raise SelectionRefused(f"stream {self.name}: none of its columns can be read; deselect the stream")
        unknown = [name for name in wanted.key if self.table.column(name) is None]
        if unknown:
            raise SelectionRefused(f"stream {self.name}: key column {', '.join(unknown)} is not one of its columns")
        again = "lookback" if wanted.lookback else "start_value and end_value" if wanted.is_backfill else ""
        if again and not wanted.key:
            raise SelectionRefused(
                f"stream {self.name}: {again} reads rows again, which without a key would double them in Delta; "
                f"set stream_options.{self.table.schema}.{self.table.name}.key"
            )
        return wanted

    def _bookmark(self) -> str | None:
        if self.cursor_column is None or self.stream_state.get("replication_key") != self.replication_key:
            return None
        value = self.stream_state.get("replication_key_value")
        if value is None:
            return None
        # Bookmarks of other taps end in a zone; only datetimeoffset has one in SQL Server.
        return str(value) if self.cursor_column.type == "datetimeoffset" else re.sub(r"(?<=\d)(Z|\+00:00)$", "", str(value))

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Rows as Singer records: exact text for decimals, ISO 8601 for times, base64 for binary."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self._mssql.sample(self.wanted(), self.ABORT_AT_RECORD_COUNT)
            return
        with self._mssql.read(self) as load:
            yield from records.of_parts(load)
            self._move_bookmark(load)

    def get_batches(
        self, batch_config: BatchConfig, context: Mapping[str, Any] | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """The parts of a complete load, in one message, after its load document is durable; the bookmark moves with them."""
        with self._mssql.read(self) as load:
            assert load.document is not None
            self._move_bookmark(load)
            yield PARQUET, [(load.folder / part.path).absolute().as_uri() for part in load.document.files]

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        """The SDK's; none for its connection test, which wants a record."""
        return None if self.ABORT_AT_RECORD_COUNT is not None else super().get_batch_config(config)

    def _move_bookmark(self, load: Load) -> None:
        window = load.opened.window
        if window and window.moves_bookmark:
            self.stream_state.update(replication_key=window.column.name, replication_key_value=window.to)

    def adopt(self, load: Load) -> None:
        """Takes what was read; where the table or its columns were not as discovered, the stream's schema follows."""
        self.load = load
        if (load.wanted.table, load.wanted.columns) != (self.table, self.columns):
            self.table, self.columns = load.wanted.table, load.wanted.columns
            self._schema = self._input_schema = schema_of(load.opened.items)
            self.primary_keys = load.wanted.key
            self._stream_maps = None
            assert self._tap.mapper is not None
            self._tap.mapper.register_raw_stream_schema(self.name, self._schema, list(self.primary_keys))

    # Bookmarks are ours: exact text of what the window's end was, not what the SDK makes of the records' values.

    def _increment_stream_state(self, latest_record: Any, *, context: Any = None) -> None:
        """Nothing: see _move_bookmark."""

    def _write_starting_replication_value(self, context: Any) -> None:
        """Nothing: see _move_bookmark."""

    def get_replication_key_signpost(self, context: Any = None) -> None:
        """None: the window's end is read from the source."""
        return


def schema_of(found: Iterable[Item]) -> dict[str, Any]:
    """The JSON Schema of a stream's records."""
    properties = {i.name: types.to_json_schema(i.field.type, i.source_type, i.field.nullable) for i in found}
    return {"type": "object", "properties": properties}
