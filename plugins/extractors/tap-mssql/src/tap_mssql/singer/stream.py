"""A table as a stream of the SDK: discovery, and what was read as BATCH or RECORD messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from singer_arrow import syncing
from singer_arrow.catalog import FULL_TABLE
from singer_arrow.errors import SelectionRefused
from tap_mssql.config.settings import Settings
from tap_mssql.plan import stream_choice
from tap_mssql.plan.stream_choice import json_schema
from tap_mssql.plan.table_plan import TablePlan
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.read.load import Load
from tap_mssql.server.table import Table
from tap_mssql.singer import batch_output, record_output
from tap_mssql.singer.late_sdk import BaseBatchFileEncoding, BatchConfig, Stream, Tap

PARQUET = BaseBatchFileEncoding(format="parquet", compression="zstd")


class TableReader(Protocol):
    """What a stream needs of its tap."""

    settings: Settings
    entries: dict[str, Mapping[str, Any]]  # of the catalog it was given, by stream

    def read(self, stream: TableStream) -> AbstractContextManager[Load]:
        """The complete load of a stream. Raises what ended it."""

    def sample(self, request: TableRequest, rows: int) -> Iterable[dict[str, Any]]:
        """Some rows as records."""


class TableStream(Stream):
    """One table or view. `load` is what was read of it; without one, the stream reads by itself when it is synced."""

    def __init__(self, tap: Tap, table: Table, reader: TableReader) -> None:
        self.table = table
        self.load: Load | None = None
        self._reader = reader
        super().__init__(tap, schema=stream_choice.discovered_schema(table, reader.settings), name=table.stream)
        self._choose(None)

    def _choose(self, entry: Mapping[str, Any] | None) -> None:
        self.choice = stream_choice.choose(self.table, self._reader.settings, entry)
        self.primary_keys = self.choice.key
        self.replication_key = self.choice.replication_key
        # What is forced in a discovered catalog could not be chosen any more.
        self.forced_replication_method = (
            None if entry is None and self.choice.replication_method == FULL_TABLE else self.choice.replication_method
        )

    def apply_catalog(self, catalog: Any) -> None:
        """The SDK's; what the settings say comes before what the catalog says."""
        super().apply_catalog(catalog)
        entry = catalog.get_stream(self.name)
        if self.name in self._reader.entries:
            self._choose(self._reader.entries[self.name])
        elif entry is not None:
            own = {name: getattr(entry, name) for name in ("key_properties", "replication_key", "replication_method")}
            self._choose(entry.to_dict() | own)

    @property
    def is_sorted(self) -> bool:
        """False: rows come in key order, not in the replication key's."""
        return False

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Rows as Singer records: exact text for decimals, ISO 8601 for times, base64 for binary."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self._reader.sample(self.choice.request({}), self.ABORT_AT_RECORD_COUNT)
            return
        if self.choice.is_log_based:
            raise SelectionRefused(
                f"stream {self.name} is LOG_BASED, and RECORDs cannot say what was deleted",
                action="set batch_config, as meltano.yml does, or choose another replication-method",
            )
        with self._reader.read(self) as load:
            yield from syncing.marked(self.tap_state, self.name, record_output.of_parts(load))
            batch_output.move(self.stream_state, load)

    def get_batches(
        self, batch_config: BatchConfig, context: Mapping[str, Any] | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """The parts of a complete load, in one message, after its load document is durable; the bookmark moves with them."""
        with self._reader.read(self) as load:
            if load.document is None:
                return
            batch_output.move(self.stream_state, load)
            yield PARQUET, [(load.folder / part.path).absolute().as_uri() for part in load.document.files]

    def get_batch_config(self, config: Mapping[str, Any]) -> BatchConfig | None:
        """The SDK's; none for its connection test, which wants a record."""
        return None if self.ABORT_AT_RECORD_COUNT is not None else super().get_batch_config(config)

    def adopt(self, load: Load) -> None:
        """Takes what was read; where the table or its columns were not as discovered, the stream's schema follows."""
        self.load = load
        plan = load.opened
        assert isinstance(plan, TablePlan)
        if (plan.request.table, plan.request.columns) != (self.table, self.choice.columns):
            self._schema = self._input_schema = json_schema(plan.schema, plan.source_types)
            self.primary_keys = plan.key_columns
            self._stream_maps = None
            assert self._tap.mapper is not None
            self._tap.mapper.register_raw_stream_schema(self.name, self._schema, list(self.primary_keys))

    # Bookmarks are ours: exact text of what the window's end was, not what the SDK makes of the records' values.

    def _increment_stream_state(self, latest_record: Any, *, context: Any = None) -> None:
        """Nothing: see batch_output.move."""

    def _write_starting_replication_value(self, context: Any) -> None:
        """Nothing: see batch_output.move."""

    def get_replication_key_signpost(self, context: Any = None) -> None:
        """None: the window's end is read from the source."""
        return
