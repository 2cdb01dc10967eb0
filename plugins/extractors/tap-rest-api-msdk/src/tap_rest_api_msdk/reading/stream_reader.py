"""Reads one stream: its pages as a load of Parquet parts, or as records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from singer_arrow import declared, noted
from singer_arrow.again import AGAIN, Again, move
from singer_arrow.bookmarks import JSON, KEY, Columns, columns_of, compare, known_columns, other_key
from singer_arrow.declared import Declared
from singer_arrow.documents import Drift, Mode
from singer_arrow.errors import DamagedPart, Failure
from tap_rest_api_msdk import bookmarks, mending, pages, progress, schemas
from tap_rest_api_msdk.client.answers import Answer
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.config import TapConfig
from tap_rest_api_msdk.errors import AnswerRefused, Doubled, Moved, Overlap
from tap_rest_api_msdk.load import LoadPlan
from tap_rest_api_msdk.mending import Column
from tap_rest_api_msdk.pages.requests import Requests
from tap_rest_api_msdk.progress import Progress
from tap_rest_api_msdk.reading.attempt import Attempt
from tap_rest_api_msdk.reading.children import ALONE, Values
from tap_rest_api_msdk.reading.identity import Identity
from tap_rest_api_msdk.reading.keys import KeyProof
from tap_rest_api_msdk.reading.settling import Settling
from tap_rest_api_msdk.reading.walk import At, Read, Walk
from tap_rest_api_msdk.reading.walks import Walks
from tap_rest_api_msdk.records import infer
from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.records.envelope import Envelope, Page
from tap_rest_api_msdk.records.singer import RecordMaker
from tap_rest_api_msdk.stream_choice import StreamChoice

log = logging.getLogger("tap_rest_api_msdk")
Bookmark = MutableMapping[str, Any]
_NO_KEYS = "the stream has no primary keys: gaps and doubles cannot be excluded where its records move while they are read"


class Look(NamedTuple):
    """What a load would be: its mode, what it reads from, the API's total, records on the first page, notes on columns."""

    mode: Mode
    start: str | None
    total: int | None
    on_first_page: int
    notes: tuple[str, ...]


class StreamReader:
    """One chosen stream of the API that `client` speaks to; `all_values` are those of its parent's records."""

    def __init__(self, choice: StreamChoice, config: TapConfig, client: ApiClient, all_values: Sequence[Values] = ALONE) -> None:
        self.choice = choice
        self._stream = stream = choice.config
        self._config = config
        self._client = client
        self._all_values = all_values
        self.read_at = datetime.now(UTC)
        self._evolved: list[Declared] = []
        self._converter = self._new_converter(())
        self._is_aligned = False
        self._envelope = Envelope(
            stream.records_path, stream.paging.total_path, pages.token_path(stream.paging), stream.error_paths
        )

    def load(self, root: Path, bookmark: Bookmark) -> list[Path] | None:
        """Reads the stream into a complete load below `root`: its parts. The bookmark moves when the load document stands.

        None where the load has nothing but what the one before had read, too: then there is none. Raises TapError or
        ArrowSingerError; then there is no load document.
        """
        began = time.monotonic()
        self._evolve(bookmark)
        known, notes = self._compared(bookmark, columns_of(self._selected))
        start = self.choice.start(known)
        plan = self._plan(root, known, notes)
        settling = Settling(self._config.settle, self._client.stop)
        asked = self._asked(plan)
        is_frozen = self._converter.on_drift == "freeze"
        settings = self._config.settings
        done = progress.usable(plan.folder, asked, plan.columns, is_frozen, settings.resume_hours, settings.max_dead_letters)
        if done and done.evolved:
            self._converter = self._new_converter([*self._evolved, *mending.declared(done.evolved)])
        attempt = self._attempt(plan, asked, done)
        while True:
            try:
                parts = attempt.parts()
                break
            except Doubled as error:
                if attempt.walks.total is None and settling.agrees(attempt.walks.digest, error.what):
                    parts = attempt.each_once(error)
                    break
                self._again(settling, attempt, error)
            except Overlap as error:
                if settling.agrees(attempt.walks.digest, error.what):
                    self._is_aligned = True  # the API begins pages at multiples of their size only
                    attempt.load.discard()
                else:
                    self._again(settling, attempt, error)
            except (Moved, DamagedPart) as error:
                self._again(settling, attempt, error)
            finally:
                self._client.stop.set()
            self._converter = self._new_converter(self._evolved)
            attempt = self._attempt(plan, asked)
        load, position = attempt.load, self.choice.reached(known)
        upto = self._advance(bookmark, start, load.greatest(), load.schema)
        if upto is not None:
            is_whole = not (attempt.left_out or self._converter.drift)
            if is_whole and upto == position and load.is_as(known.get(AGAIN)):
                load.discard()
                log.info("stream %s: nothing has changed", self.choice.stream)
                return None
            move(bookmark, load.again(self._comes_again(upto)))
        load.finish(attempt.source_rows, upto, attempt.left_out, self._converter.drift, self._notes(attempt))
        self._tell(load.rows, began, logging.DEBUG)  # the loader tells of what it stages
        return parts

    def records(
        self, bookmark: Bookmark, is_for_json: bool = False, seen: Callable[[pa.RecordBatch], None] = lambda rows: None
    ) -> Iterator[Any]:
        """Yields the records as dictionaries, typed and checked as in a load; then the bookmark has their columns, which are the
        declared ones: what is not declared is told.

        `is_for_json`: as what msgspec writes as the same JSON. `seen` is shown them as rows. `read_at` is when the last ones
        came. Raises TapError or ArrowSingerError.
        """
        began = time.monotonic()
        sent = columns_of(pa.schema([self._converter.schema.field(name) for name in self.choice.columns]))
        known, _ = self._compared(bookmark, sent)
        proof = KeyProof(self.choice.stream, self.choice.key, keeps_keys=True)
        maker = RecordMaker(self.choice.full_schema, self._converter, is_for_json)
        walks = self._walks(self.choice.start(known), self.choice.lookback(known))
        try:
            for page in walks:
                self.read_at = datetime.now(UTC)
                batch, records = maker.records(page.records)
                proof.add(batch)
                seen(batch)
                yield from records
            proof.check()
        finally:
            self._client.stop.set()
        if self.choice.is_incremental:
            bookmark.pop(JSON, None)
            bookmark.update({"columns": sent, KEY: list(self.choice.key)})
        else:
            bookmark.clear()  # as of a load: nothing goes on at what an earlier load had come to
        for line in _not_sent(self._converter.drift):
            log.warning("%s: %s", self.choice.stream, line)
        self._tell(walks.received, began)

    def look(self, bookmark: Mapping[str, Any]) -> Look:
        """What a load would be, after one request: for its first page. Raises TapError or ArrowSingerError."""
        self._evolve(bookmark)
        known, notes = self._compared(bookmark, columns_of(self._selected))
        start = self.choice.start(known)
        first = At(pages.of(self._stream.paging).first())
        page = self._fetch(self._requests(start, self.choice.lookback(known), self._all_values[0]), first)()
        return Look(self._mode(self.choice.reached(known) is None), start, page.total, len(page.records), notes)

    # --- a load -----------------------------------------------------------------------------------------------------

    def _new_converter(self, evolved: Sequence[Declared]) -> Converter:
        keep_100ns = self._config.settings.keep_100ns
        return Converter(self._stream, self.choice.full_schema, self.choice.key, keep_100ns, evolved)

    def _evolve(self, bookmark: Mapping[str, Any]) -> None:
        """Takes over what columns were added in loads before."""
        json = bookmark.get(JSON) or ()
        known = known_columns(bookmark) or {}
        self._evolved = mending.declared({name: Column(text, True, name in json) for name, text in known.items()})
        if self._evolved:
            self._converter = self._new_converter(self._evolved)

    def _attempt(self, plan: LoadPlan, asked: str, done: Progress | None = None) -> Attempt:
        return Attempt(self.choice, self._converter, plan, asked, self._walks(plan.start_read, plan.lookback, done), done)

    @staticmethod
    def _again(settling: Settling, attempt: Attempt, error: Failure) -> None:
        """Takes a read away that cannot stay; raises its error where another read would not help."""
        attempt.load.discard()
        settling.again(error, attempt.walks.digest)

    def _asked(self, plan: LoadPlan) -> str:
        """The fingerprint of what this load reads, but for its columns."""
        stream = self._stream
        return progress.asked(
            sorted(self.choice.deselected), stream.keeps_raw, self._config.settings.keep_100ns, plan.mode, plan.key_columns,
            plan.replication_key, plan.start_read, plan.lookback, self._config.api_url, stream.path, stream.params,
            stream.records_path, str(stream.paging), sorted(stream.text_keys), stream.search_field, stream.search_query,
            stream.headers, stream.on_schema_drift, self._overlaps,
        )  # fmt: skip

    @property
    def _overlaps(self) -> bool:
        """Whether pages that are counted by offset begin with the last record of the one in front."""
        return self._config.settings.overlap_pages and not self._is_aligned and not self._envelope.filters

    def _walks(self, start: str | None, lookback: float, done: Progress | None = None) -> Walks:
        self._client.stop.clear()
        self._client.pace.forget()
        self._client.pace.begin()
        known_by = Identity(self.choice.key, self._converter.flat_one)
        return Walks(
            self._all_values,
            lambda values, fetch: Walk(
                self.choice.stream,
                self._stream.paging,
                known_by,
                self._parallel,
                fetch,
                self._overlaps,
                self._is_aligned,
                done,
                self._client.pace.forget,
            ),
            lambda values, at: self._fetch(self._requests(start, lookback, values), at),
            self._parallel,
        )

    def _parallel(self) -> int:
        """How many pages are under way at once."""
        return self._client.pace.at_once

    def _requests(self, start: str | None, lookback: float, values: Values) -> Requests:
        key = self.choice.replication_key if self.choice.is_incremental else None
        from_ = bookmarks.earlier(self._converter.schema.field(key).type, start, lookback) if key else None
        return Requests(self._stream, self._config.api_url, key, from_, values)

    def _fetch(self, requests: Requests, at: At) -> Read:
        """Asks for a page. It is decoded where its records are converted, in the same thread, which finds them in its cache."""
        paging = self._stream.paging
        what = f"stream {self.choice.stream}" + (f", {paging.next_param} {at.place}" if paging.is_counted else "")

        def taken(answer: Answer) -> Answer:
            told.update({"http.response.status_code": answer.status, "http.response.body.size": len(answer.body)})
            return answer

        def read(answer: Answer) -> Page:
            # others tell more by their texts: whether pages lead on, and what comes twice on one
            is_by_total = at.expected is not None or (paging.is_counted and not at.behind)
            made = self._converter.page_type if is_by_total and self.choice.key else None
            try:
                return self._envelope.page(answer, what, made)
            except msgspec.ValidationError as error:
                raise AnswerRefused(
                    f"{what}: {answer.url}: the answer is not what records_path {self._stream.records_path} and the other paths "
                    f"say: {error}; it begins with: {self._client.masks.first_words(answer.body)}"
                ) from error

        place = at.place - 1 if at.overlaps else at.place
        host, path = self._client.place_of(self._stream.path)  # as it is configured: the real one may hold values of rows
        with noted.span("request", self.choice.stream, **{"http.request.method": "GET", "url.template": host + path}) as told:
            request = requests.at(place, at.behind)
            return partial(self._client.get, request, what, read, self._client.get(request, what, taken))

    def _notes(self, attempt: Attempt) -> list[str]:
        notes, walks = self._converter.notes, attempt.walks
        if attempt.load.done:
            notes.append(f"it goes on behind {attempt.load.done.rows} rows of a run that failed")
        if attempt.dropped:
            came = "record came" if attempt.dropped == 1 else "records came"
            notes.append(f"{attempt.dropped} {came} twice with the same content, and is here once")
        if self._stream.is_inferred:
            notes.append(infer.note(self._stream.inference_records))
        if not self.choice.key and walks.pages > len(self._all_values):
            notes.append(_NO_KEYS)
        if self._is_aligned:
            notes.append("the API does not begin pages where it is asked to: nothing would show that records moved between two")
        if walks.is_deaf:
            notes.append("the API gave its only page again for the one behind it: its total alone says that there is no other")
        if walks.is_limited:
            notes.append(f"it was limited to about {self._stream.paging.results_limit} records (pagination_results_limit)")
        return notes

    # --- bookmarks --------------------------------------------------------------------------------------------------

    @property
    def _selected(self) -> pa.Schema:
        """The columns of a load."""
        schema = self._converter.schema
        return pa.schema([schema.field(name) for name in self.choice.names(schema.names)])

    def _compared(self, bookmark: Mapping[str, Any], now: Columns) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The bookmark, or none where columns that are new now or another key ask for the whole stream, and notes.

        Raises SelectionRefused.
        """
        if self.choice.reached(bookmark) is None:
            return bookmark, ()
        notes, reads_whole = other_key(bookmark, self.choice.key), True
        if not notes:
            reads_whole, notes = compare(self.choice.stream, known_columns(bookmark), now, self._config.on_new_column)
        for note in notes:
            log.warning("%s: %s", self.choice.stream, note)
        return ({} if reads_whole else bookmark), notes

    def _plan(self, root: Path, known: Mapping[str, Any], notes: tuple[str, ...]) -> LoadPlan:
        choice = self.choice
        start = choice.start(known)
        schema = self._selected
        return LoadPlan(
            stream=choice.stream,
            root=root,
            schema=schema,
            source_types={k: v for k, v in schemas.source_types(choice.full_schema).items() if k in schema.names},
            comments=declared.comments(choice.full_schema),
            mode=self._mode(choice.reached(known) is None),
            key_columns=list(choice.key),
            replication_key=choice.replication_key if choice.is_incremental else None,
            start=start if self._stream.search_field else None,
            start_read=start,
            lookback=choice.lookback(known),
            max_dead_letters=self._config.settings.max_dead_letters,
            notes=notes,
            columns=self._columns(schema),
        )

    def _columns(self, schema: pa.Schema) -> dict[str, Column]:
        """The columns of a load, as they are declared."""
        json = self._json
        return {field.name: Column(str(field.type), field.nullable, field.name in json) for field in schema}

    @property
    def _json(self) -> set[str]:
        """The columns that hold JSON text."""
        return {column.name for column in self._converter.columns if column.is_json}

    def _mode(self, is_first: bool) -> Mode:
        return "overwrite" if is_first else "merge" if self.choice.key else "append"

    def _advance(self, bookmark: Bookmark, start: str | None, greatest: str | None, read: pa.Schema) -> str | None:
        """Moves the bookmark to the greatest value read, never back but by a load of the whole stream; returns it.

        A stream that is not incremental has none: its table holds records behind whatever an earlier load had come to.
        """
        key = self.choice.replication_key
        if not key or not self.choice.is_incremental:
            bookmark.clear()
            return None
        upto = bookmarks.later(self._converter.schema.field(key).type, start, greatest)
        if upto is not None:
            bookmark.update(
                {"replication_key": key, "replication_key_value": upto, "columns": columns_of(read), KEY: list(self.choice.key)}
            )
            bookmark.pop(JSON, None)
            if json := [column.name for column in self._converter.evolved if column.is_json]:
                bookmark[JSON] = json
        else:
            bookmark.clear()  # of a stream without records: the next load is the first one
        return upto

    def _comes_again(self, upto: str) -> Again:
        """What the next load reads once more where nothing changes; where the API leaves out what is older, just what it does.

        Nothing without a key: a record that equals one of the load before may be another one.
        """
        key = str(self.choice.replication_key)
        if not self.choice.key:
            return Again(key)
        is_told = bool(self._stream.search_field or self._stream.lookback)
        return Again(key, ties=True, nulls=True, everything=is_told, top=upto)

    def _tell(self, rows: int, began: float, level: int = logging.INFO) -> None:
        seconds = time.monotonic() - began
        log.log(level, "%s: %d rows in %.1f s, %.0f rows/s", self.choice.stream, rows, seconds, rows / max(seconds, 1e-6))


def _not_sent(drift: Sequence[Drift]) -> Iterator[str]:
    """What RECORDs are without, since their SCHEMA comes first."""
    for each in drift:
        if each.became == "record left out":
            yield f"{each.field} is not declared: records that have it are left out (on_schema_drift: discard_row)"
        elif each.became == "left out":
            yield f"{each.field} is not declared: it is left out (on_schema_drift: discard_value)"
        else:
            yield (
                f"{each.field} is not declared: RECORDs are without it; declare it in the stream's schema, or set batch_config, "
                "with which it becomes a column (on_schema_drift: evolve)"
            )
