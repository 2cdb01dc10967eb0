"""Reads one stream: its pages as a load of Parquet parts, or as records."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from string import Template
from typing import Any

import msgspec
import pyarrow as pa

from singer_arrow.bookmarks import columns_of, compare, known_columns
from singer_arrow.documents import Mode
from singer_arrow.errors import ArrowSingerError
from singer_arrow.records import RecordDecoder
from tap_rest_api_msdk import bookmarks, envelope, schemas
from tap_rest_api_msdk.client import ApiClient
from tap_rest_api_msdk.config import TapConfig
from tap_rest_api_msdk.envelope import Answer
from tap_rest_api_msdk.errors import AnswerRefused, TapError
from tap_rest_api_msdk.load import Load, LoadPlan
from tap_rest_api_msdk.pages import Pages
from tap_rest_api_msdk.records import RecordMaker
from tap_rest_api_msdk.stream_choice import StreamChoice

log = logging.getLogger("tap_rest_api_msdk")
Bookmark = MutableMapping[str, Any]


class StreamReader:
    """One chosen stream of the API that `client` speaks to."""

    def __init__(self, choice: StreamChoice, config: TapConfig, client: ApiClient) -> None:
        self.choice = choice
        self._stream = stream = choice.config
        self._client = client
        self._on_new_column = config.on_new_column
        self._url = config.api_url + ("/" + stream.path.lstrip("/") if stream.path else "")
        self._arrow = schemas.arrow_schema(stream.schema)
        self._json_columns = schemas.json_columns(stream.schema, stream.text_keys)
        self._decoder = RecordDecoder(stream.name, self._arrow, self._json_columns, config.extra_fields)
        self._reader = envelope.reader(self._decoder, stream.records_path, stream.paging.total_path)

    def load(self, root: Path, bookmark: Bookmark) -> list[Path]:
        """Reads the stream into a complete load below `root`: its parts. The bookmark moves when the load document stands.

        Raises TapError or ArrowSingerError; then there is no load document.
        """
        began = time.monotonic()
        known, notes = self._compared(bookmark)
        start = self.choice.start(known)
        load = Load(self._plan(root, start, self.choice.reached(known) is None, notes))
        pages = self._pages(start)
        selected = load.plan.schema.names
        try:
            parts = list(load.parts(self._decoder.batch(records).select(selected) for records in pages))
        except (TapError, ArrowSingerError) as error:
            raise error.keeping(load.kept) from None
        finally:
            self._client.stop.set()
        upto = self._advance(bookmark, start, load.greatest(), load.plan.schema)
        load.finish(pages.total, upto)
        self._tell(load.rows, began)
        return parts

    def records(self, bookmark: Bookmark) -> Iterator[dict[str, Any]]:
        """Yields the records, typed and checked as in a load; then the bookmark has their columns.

        Raises TapError or ArrowSingerError.
        """
        began = time.monotonic()
        pages = self._pages(self.choice.start(self._compared(bookmark)[0]))
        maker = RecordMaker(self._stream.schema, self._arrow, self._json_columns)
        try:
            for records in pages:
                self._decoder.batch(records)
                yield from map(maker.record, records)
        finally:
            self._client.stop.set()
        if self.choice.is_incremental:
            bookmark["columns"] = columns_of(self._selected)
        self._tell(pages.received, began)

    @property
    def _selected(self) -> pa.Schema:
        """The columns of a load."""
        return pa.schema([self._arrow.field(name) for name in self.choice.columns])

    def _compared(self, bookmark: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The bookmark, or none where new columns ask for the whole stream, and notes. Raises SelectionRefused."""
        if self.choice.reached(bookmark) is None:
            return bookmark, ()
        now = columns_of(self._selected)
        changes = compare(self.choice.stream, known_columns(bookmark), now, self._on_new_column)
        for note in changes.notes:
            log.warning("%s: %s", self.choice.stream, note)
        return ({} if changes.reads_whole else bookmark), changes.notes

    def _plan(self, root: Path, start: str | None, is_first: bool, notes: tuple[str, ...]) -> LoadPlan:
        choice = self.choice
        mode: Mode = "overwrite" if is_first else "merge" if choice.key else "append"
        schema = self._selected
        return LoadPlan(
            stream=choice.stream,
            root=root,
            schema=schema,
            source_types={k: v for k, v in schemas.source_types(self._stream.schema).items() if k in schema.names},
            mode=mode,
            key_columns=list(choice.key),
            replication_key=choice.replication_key if choice.is_incremental else None,
            start=start if self._stream.search_field else None,
            notes=notes,
        )

    def _advance(self, bookmark: Bookmark, start: str | None, greatest: str | None, read: pa.Schema) -> str | None:
        """Moves the bookmark to the greatest value read, never back but by a load of the whole stream; returns it."""
        key = self.choice.replication_key
        if not key or not self.choice.is_incremental:
            return None
        upto = bookmarks.later(self._arrow.field(key).type, start, greatest)
        if upto is not None:
            bookmark.update(replication_key=key, replication_key_value=upto, columns=columns_of(read))
        else:
            bookmark.clear()  # of a stream without records: the next load is the first one
        return upto

    def _pages(self, start: str | None) -> Pages:
        self._client.stop.clear()
        paging, params = self._stream.paging, {**self._stream.params, **self._search(start)}

        def fetch(offset: int) -> bytes:
            page = {paging.offset_param: offset, paging.limit_param: paging.size} if paging.offsets else {}
            return self._client.get(self._url, params | page, self._stream.headers, self._what(offset))

        return Pages(self.choice.stream, paging, bool(self.choice.key), fetch, self._read)

    def _search(self, start: str | None) -> dict[str, str]:
        """What asks the API for new records only; where it cannot be asked, the published tap's wish for an order."""
        if not self.choice.is_incremental:
            return {}
        if not self._stream.search_field or not self._stream.search_query:
            return {"sort": "asc", "order_by": str(self.choice.replication_key)}
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
        name = self.choice.stream
        return f"stream {name}, offset {offset}" if self._stream.paging.offsets else f"stream {name}"

    def _tell(self, rows: int, began: float) -> None:
        seconds = time.monotonic() - began
        log.info("%s: %d rows in %.1f s, %.0f rows/s", self.choice.stream, rows, seconds, rows / max(seconds, 1e-6))
