"""A stream as the SDK knows it; reading itself is the room reading/'s."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from singer_sdk import Stream
from singer_sdk.helpers._util import utc_now
from singer_sdk.helpers.types import Context, Record
from singer_sdk.singerlib import RecordMessage

from singer_arrow import syncing
from singer_arrow.errors import SelectionRefused
from tap_rest_api_msdk import stream_choice
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.config import StreamConfig, TapConfig
from tap_rest_api_msdk.reading.stream_reader import StreamReader
from tap_rest_api_msdk.stream_choice import StreamChoice

if TYPE_CHECKING:
    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig


class RestStream(Stream):
    """One stream of the configuration; the schema is the declared one."""

    # records are typed when they are decoded: the SDK's own conversion would cost time and digits
    TYPE_CONFORMANCE_LEVEL = Stream.TYPE_CONFORMANCE_LEVEL.NONE

    def __init__(self, tap: Tap, stream: StreamConfig, config: TapConfig, client: ApiClient) -> None:
        super().__init__(tap, stream.schema, stream.name)
        self._stream = stream
        self._settings = config
        self._client = client
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
        parts = self._reading().load(root, self.get_context_state(context))
        yield batch_config.encoding, [part.as_uri() for part in parts]

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yields the records, typed and checked as in a load. Raises TapError or ArrowSingerError."""
        return syncing.marked(self.tap_state, self.name, self._reading().records(self.get_context_state(context)))

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """As the SDK makes them, which looks at each property of each record: not needed where all are selected."""
        if not self._takes_all:
            yield from super()._generate_record_messages(record)
            return
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield RecordMessage(
                    stream=stream_map.stream_alias, record=mapped, version=self._stream_version, time_extracted=utc_now()
                )

    @cached_property
    def _takes_all(self) -> bool:
        return all(self.mask.values())

    def _reading(self) -> StreamReader:
        deselected = frozenset(name for name in self.schema["properties"] if not self.mask[("properties", name)])
        choice = StreamChoice(
            self._stream, tuple(self.primary_keys), self.replication_key, self.replication_method.upper(), deselected
        )
        stream_choice.check(choice)
        if self._stream.parent:
            raise SelectionRefused(
                f"stream {self.name}: streams with a parent are read with BATCH output only",
                action="set batch_config, or deselect it",
            )
        return StreamReader(choice, self._settings, self._client)
