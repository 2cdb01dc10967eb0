"""A stream: pages of an API as Parquet parts (BATCH) or as records (RECORD)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
from singer_sdk import Stream
from singer_sdk.helpers.types import Context, Record

from singer_arrow.documents import Mode
from singer_arrow.errors import ArrowSingerError
from singer_arrow.records import RecordDecoder
from tap_rest_api_msdk import bookmarks, envelope, schemas
from tap_rest_api_msdk.client import ApiClient
from tap_rest_api_msdk.config import StreamConfig
from tap_rest_api_msdk.envelope import Answer
from tap_rest_api_msdk.errors import AnswerRefused, TapError
from tap_rest_api_msdk.load import Load, LoadPlan
from tap_rest_api_msdk.pages import Pages
from tap_rest_api_msdk.records import RecordMaker

if TYPE_CHECKING:
    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig

_progress = logging.getLogger("tap_rest_api_msdk")


class RestStream(Stream):
    """One stream of the configuration; the schema is the declared one."""

    # records are typed when they are decoded: the SDK's own conversion would cost time and digits
    TYPE_CONFORMANCE_LEVEL = Stream.TYPE_CONFORMANCE_LEVEL.NONE

    def __init__(self, tap: Tap, config: StreamConfig, api_url: str, client: ApiClient, extra_fields: bool) -> None:
        super().__init__(tap, config.schema, config.name)
        self._stream = config
        self._client = client
        self._url = api_url + ("/" + config.path.lstrip("/") if config.path else "")
        self._arrow = schemas.arrow_schema(config.schema)
        self._decoder = RecordDecoder(
            config.name, self._arrow, schemas.json_columns(config.schema, config.text_keys), extra_fields
        )
        self._reader = envelope.reader(self._decoder, config.records_path, config.paging.total_path)
        self.primary_keys = config.primary_keys
        self.replication_key = config.replication_key

    def log(self, message: str, *args: Any, level: int = logging.INFO, **kwargs: Any) -> None:
        """The SDK's own lines, for those who ask for them: a stream's own line comes when it is finished."""
        super().log(message, *args, level=min(level, logging.DEBUG), **kwargs)

    def get_replication_key_signpost(self, context: Context | None = None) -> datetime | None:
        """None: a bookmark is what was read, in the source's own clock."""
        return None

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yields every finished part; the last one when the load document stands and the bookmark is advanced.

        Raises TapError or ArrowSingerError; then there is no load document.
        """
        began = time.monotonic()
        load = Load(self._plan(batch_config, context))
        pages = self._pages(load.plan.start)
        selected = load.plan.schema.names
        batches = (self._decoder.batch(records).select(selected) for records in pages)
        held: Path | None = None
        try:
            for part in load.parts(batches):
                if held:
                    yield batch_config.encoding, [held.as_uri()]
                held = part
        except (TapError, ArrowSingerError) as error:
            raise error.keeping(load.kept) from None
        finally:
            self._client.stop.set()
        upto = self._advance(load.greatest(), context)
        load.finish(pages.total, upto)
        self._tell(load.rows, began)
        if held:
            yield batch_config.encoding, [held.as_uri()]

    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Yields the records, typed and checked as in get_batches. Raises TapError or ArrowSingerError."""
        began = time.monotonic()
        pages = self._pages(self._start(context))
        maker = RecordMaker(self._stream.schema, self._arrow, schemas.json_columns(self._stream.schema, self._stream.text_keys))
        try:
            for records in pages:
                self._decoder.batch(records)
                yield from map(maker.record, records)
        finally:
            self._client.stop.set()
        self._tell(pages.received, began)

    def _plan(self, batch_config: BatchConfig, context: Context | None) -> LoadPlan:
        incremental = self.replication_method == "INCREMENTAL"
        mode: Mode = ("merge" if self.primary_keys else "append") if incremental else "overwrite"
        chosen = [name for name in self._arrow.names if self.mask[("properties", name)]]
        return LoadPlan(
            stream=self.name,
            root=Path(unquote(urlsplit(batch_config.storage.root).path)),
            schema=pa.schema([self._arrow.field(name) for name in chosen]),
            source_types={k: v for k, v in schemas.source_types(self._stream.schema).items() if k in chosen},
            mode=mode,
            key_columns=list(self.primary_keys),
            replication_key=self.replication_key if incremental else None,
            start=self._start(context) if self._stream.search_field else None,
        )

    def _start(self, context: Context | None) -> str | None:
        """The bookmark, or start_date without one; None for a full load."""
        if self.replication_method != "INCREMENTAL":
            return None
        state = self.get_context_state(context)
        value = state.get("replication_key_value") if state.get("replication_key") == self.replication_key else None
        return self._stream.start_date if value is None else str(value)

    def _advance(self, greatest: str | None, context: Context | None) -> str | None:
        """Moves the bookmark to the greatest value read, never back; returns it."""
        key = self.replication_key
        if not key or self.replication_method != "INCREMENTAL":
            return None
        state = self.get_context_state(context)
        upto = bookmarks.later(self._arrow.field(key).type, self._start(context), greatest)
        if upto is not None:
            state["replication_key"], state["replication_key_value"] = key, upto
        return upto

    def _pages(self, start: str | None) -> Pages:
        self._client.stop.clear()
        paging, params = self._stream.paging, {**self._stream.params, **self._search(start)}

        def fetch(offset: int) -> bytes:
            page = {paging.offset_param: offset, paging.limit_param: paging.size} if paging.offsets else {}
            return self._client.get(self._url, params | page, self._stream.headers, self._what(offset))

        return Pages(self.name, paging, bool(self.primary_keys), fetch, self._read)

    def _search(self, start: str | None) -> dict[str, str]:
        """What asks the API for new records only; where it cannot be asked, the published tap's wish for an order."""
        if self.replication_method != "INCREMENTAL":
            return {}
        if not self._stream.search_field or not self._stream.search_query:
            return {"sort": "asc", "order_by": str(self.replication_key)}
        if start is None:
            return {}
        query = Template(self._stream.search_query)
        return {self._stream.search_field: query.safe_substitute(last_run_date=bookmarks.query_text(start))}

    def _read(self, body: bytes, offset: int) -> Answer:
        try:
            return self._reader(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise AnswerRefused(
                f"{self._what(offset)}: {self._url}: the answer is not of the declared schema and records_path "
                f"{self._stream.records_path}: {error}"
            ) from error

    def _what(self, offset: int) -> str:
        return f"stream {self.name}, offset {offset}" if self._stream.paging.offsets else f"stream {self.name}"

    def _tell(self, rows: int, began: float) -> None:
        seconds = time.monotonic() - began
        _progress.info("%s: %d rows in %.1f s, %.0f rows/s", self.name, rows, seconds, rows / max(seconds, 1e-6))
