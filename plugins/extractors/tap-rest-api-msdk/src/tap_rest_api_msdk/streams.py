"""A stream as the SDK knows it; reading itself is the room reading/'s."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from singer_arrow import syncing
from tap_rest_api_msdk import stream_choice
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.config import StreamConfig, TapConfig
from tap_rest_api_msdk.late_sdk import Context, Record, SameRecordTransform, Stream, serialize_jsonl
from tap_rest_api_msdk.reading.families import Families
from tap_rest_api_msdk.reading.stream_reader import StreamReader
from tap_rest_api_msdk.stream_choice import StreamChoice

if TYPE_CHECKING:
    from tap_rest_api_msdk.late_sdk import BaseBatchFileEncoding, BatchConfig, Tap


class RestStream(Stream):
    """One stream of the configuration; the schema is the declared one."""

    # records are typed when they are decoded: the SDK's own conversion would cost time and digits
    TYPE_CONFORMANCE_LEVEL = Stream.TYPE_CONFORMANCE_LEVEL.NONE

    def __init__(self, tap: Tap, stream: StreamConfig, config: TapConfig, client: ApiClient, families: Families) -> None:
        super().__init__(tap, stream.schema, stream.name)
        self._stream = stream
        self._settings = config
        self._client, self._families = client, families
        self.primary_keys = stream.primary_keys
        self.replication_key = stream.replication_key

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        """The SDK's own lines, for those who ask for them: a stream's own line comes when it is finished."""
        super().log(message, *args, level=min(level, logging.DEBUG), **kwargs)

    def get_replication_key_signpost(self, context: Context | None = None) -> datetime | None:
        """None: a bookmark is what was read, in the source's own clock."""
        return None

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yields the parts of a complete load at once. Raises TapError or ArrowSingerError; then there is no load document."""
        root = Path(unquote(urlsplit(batch_config.storage.root).path))
        reader = self._reading()
        parent = self._families.parent(reader.choice)
        parts = reader.load(root, self.get_context_state(context))
        if parts is not None:
            parent.add_parts(parts)
            parent.is_whole()
            yield batch_config.encoding, [part.as_uri() for part in parts]

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yields the records, typed and checked as in a load. Raises TapError or ArrowSingerError."""
        if self._stream.parent and self.ABORT_AT_RECORD_COUNT is not None:
            return  # `--test` reads one record of each stream, and so no parent whole
        self._read = self._reading()
        is_for_json = self._is_plain and not self._is_incremental  # the SDK looks for bookmarks in dictionaries
        parent = self._families.parent(self._read.choice)
        yield from syncing.marked(
            self.tap_state, self.name, self._read.records(self.get_context_state(context), is_for_json, parent.add)
        )
        parent.is_whole()

    def _write_record_message(self, record: Record) -> None:
        """As the SDK writes one, without its objects on the way, where a record is sent as it is."""
        if not self._is_plain:
            super()._write_record_message(record)
            return
        message = {"type": "RECORD", "stream": self.name, "record": record, "time_extracted": self._read.read_at}
        sys.stdout.buffer.write(serialize_jsonl(message))
        self.state_manager.is_flushed = False

    def _process_record(
        self, record: Record, child_context: Context | None = None, partition_context: Context | None = None
    ) -> None:
        """Nothing: these streams have neither children nor partitions that the SDK knows of."""

    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        """Where there is a bookmark to move."""
        if self._is_incremental:
            super()._increment_stream_state(latest_record, context=context)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether all properties of all records are sent, under the stream's own name, and nothing beside them."""
        maps = self.stream_maps
        is_same = len(maps) == 1 and type(maps[0]) is SameRecordTransform and not maps[0].flattening_enabled
        return is_same and all(self.mask.values()) and not self.emit_activate_version_messages

    @cached_property
    def _is_incremental(self) -> bool:
        return bool(self.replication_method == "INCREMENTAL")

    def _reading(self) -> StreamReader:
        deselected = frozenset(name for name in self.schema["properties"] if not self.mask[("properties", name)])
        choice = StreamChoice(
            self._stream, tuple(self.primary_keys), self.replication_key, self.replication_method.upper(), deselected
        )
        stream_choice.check(choice)
        return StreamReader(choice, self._settings, self._client, self._families.values(self._stream))
