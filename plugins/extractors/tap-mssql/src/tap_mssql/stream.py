"""A table as a Singer stream: parts for BATCH, records for RECORD, one bookmark either way."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
from singer_sdk.streams import Stream

from singer_arrow import documents, names, types
from singer_arrow.documents import Cursor, LoadDocument, PartFile
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartLimits, PartWriter
from tap_mssql import read
from tap_mssql.catalog import Table
from tap_mssql.columns import SqlColumn
from tap_mssql.connect import Connection
from tap_mssql.errors import SelectionRefused
from tap_mssql.read import Source
from tap_mssql.records import records

if TYPE_CHECKING:
    from tap_mssql.tap import TapMssql

PARQUET = BaseBatchFileEncoding(format="parquet", compression="zstd")
RUN_ID = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())


class TableStream(Stream):
    """One table or view. Rows come in key order where there is a key."""

    def __init__(self, tap: TapMssql, table: Table) -> None:
        self.table = table
        self._mssql = tap
        properties = {c.name: types.to_json_schema(c.arrow.type, c.declared, c.nullable) for c in table.columns}
        super().__init__(tap, schema={"type": "object", "properties": properties}, name=table.stream)
        self.primary_keys = table.key
        self.forced_replication_method = None

    @property
    def is_sorted(self) -> bool:
        """False: rows come in key order, not in the replication key's."""
        return False

    @cached_property
    def columns(self) -> list[SqlColumn]:
        """The selected columns, in the table's order; keys are always selected."""
        chosen = [c for c in self.table.columns if self.mask[("properties", c.name)] or c.name in self.primary_keys]
        return chosen or list(self.table.columns)

    @cached_property
    def cursor_column(self) -> SqlColumn | None:
        """The replication key's column in INCREMENTAL mode. Raises SelectionRefused for a name the table lacks."""
        if self.replication_method != "INCREMENTAL":
            return None
        column = self.table.column(str(self.replication_key))
        if column is None:
            raise SelectionRefused(
                f"stream {self.name}: replication key {self.replication_key!r} is not one of its columns "
                f"({', '.join(c.name for c in self.table.columns)}); set metadata {self.name}.replication-key"
            )
        return column

    def _bookmark(self) -> str | None:
        if self.cursor_column is None or self.stream_state.get("replication_key") != self.replication_key:
            return None
        value = self.stream_state.get("replication_key_value")
        return None if value is None else str(value)

    def _source(self, connection: Connection) -> Source:
        return read.describe(connection, self.table, self.columns, self.cursor_column, self._bookmark(), self.primary_keys)

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Rows as Singer records: exact text for decimals, ISO 8601 for times, base64 for binary."""
        with self._mssql.connection() as connection, read.isolated(connection, self._mssql.settings):
            source = self._source(connection)
            for batch in read.batches(connection, source, min(self._mssql.settings.cursor_array_size, 4096)):
                yield from records(batch)

    def get_batches(
        self, batch_config: BatchConfig, context: Mapping[str, Any] | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """Finished parts, each told once; the last one only after the load document is durable and the bookmark has moved."""
        folder = _spool(batch_config) / names.folder(self.name)
        clock = time.monotonic()
        with self._mssql.connection() as connection, read.isolated(connection, self._mssql.settings) as isolation:
            started = datetime.now(UTC)
            source = self._source(connection)
            writer = self._writer(folder, source, started)
            told = 0
            try:
                for batch in read.batches(connection, source, self._mssql.settings.cursor_array_size):
                    writer.write(batch)
                    for part in writer.files[told:-1]:
                        yield PARQUET, [_uri(folder, part)]
                    told = max(told, len(writer.files) - 1)
                writer.close()
            except BaseException:
                writer.abandon()
                raise
        self._complete(folder, source, writer, started, isolation)
        for part in writer.files[told:]:
            yield PARQUET, [_uri(folder, part)]
        seconds = time.monotonic() - clock
        self.logger.info(
            "read %s: %d rows in %.1f s, %.0f rows/s", self.name, writer.rows, seconds, writer.rows / max(seconds, 1e-9)
        )

    def _writer(self, folder: Path, source: Source, started: datetime) -> PartWriter:
        load_id = names.load_id(RUN_ID, "tap-mssql", self.name, started)
        source_types = {c.name: c.declared for c in self.columns}
        limits = PartLimits(part_rows=self._mssql.settings.part_rows)
        return PartWriter(folder, load_id, source.schema, source_types, list(source.order), bool(source.order), limits)

    def _complete(self, folder: Path, source: Source, writer: PartWriter, started: datetime, isolation: str) -> None:
        read.refuse_short(source, writer.rows, isolation)
        window = source.window
        keys = list(self.primary_keys)
        document = LoadDocument(
            load_id=writer.load_id,
            run_id=RUN_ID,
            stream=self.name,
            source_schema=self.table.schema,
            source_table=self.table.name,
            mode="overwrite" if not window else "merge" if keys else "append",
            key_columns=keys,
            cursor=Cursor(window.column.name, window.from_, window.to) if window else None,
            schema=documents.columns_of(self.name, source.schema, writer.source_types),
            files=writer.files,
            rows=writer.rows,
            source_rows=source.rows,
            columns=writer.facts(),
            started_at=utc_text(started),
            ended_at=utc_text(datetime.now(UTC)),
            notes=[f"isolation: {isolation}", *source.notes],
        )
        documents.write(documents.document_path(folder, writer.load_id), document)
        if window:
            self.stream_state.update(replication_key=window.column.name, replication_key_value=window.to)


def _spool(batch_config: BatchConfig) -> Path:
    root = urlparse(batch_config.storage.root)
    if root.scheme not in ("", "file"):
        raise SelectionRefused(f"batch_config.storage.root {batch_config.storage.root}: parts are written to file:// only")
    return Path(unquote(root.path), batch_config.storage.prefix or "")


def _uri(folder: Path, part: PartFile) -> str:
    return (folder / part.path).absolute().as_uri()
