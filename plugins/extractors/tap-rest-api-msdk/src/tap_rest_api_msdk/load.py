"""One load: batches into parts, and the load document that makes them count (docs/contracts.md)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from msgspec import Struct, field

from singer_arrow import again, documents, names, types
from singer_arrow.again import Again
from singer_arrow.converter import Counted
from singer_arrow.dead_letters import DeadLetters
from singer_arrow.documents import ColumnFacts, Cursor, Drift, LoadDocument, Mode
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartLimits, PartWriter, batches_of
from tap_rest_api_msdk import mending, progress
from tap_rest_api_msdk.contradictions import SOURCE_SCHEMA
from tap_rest_api_msdk.mending import Column
from tap_rest_api_msdk.progress import Progress

TAP = "tap-rest-api-msdk"
_LIMITS = PartLimits(group_bytes=2 * 2**20)  # beside a row group, memory holds pages as text, and as what is made of them


class LoadPlan(Struct, frozen=True):
    """What is known of a load before its first record.

    `start_read` is the bookmark it reads from, `start` the same where the API is told so that it leaves out what is older;
    `lookback` is how far before it the load reads; `columns` are those of `schema`, as they are declared.
    """

    stream: str
    root: Path
    schema: pa.Schema
    source_types: dict[str, str]
    comments: dict[str, str]
    mode: Mode
    key_columns: list[str]
    replication_key: str | None
    start: str | None
    start_read: str | None = None
    lookback: float = 0
    max_dead_letters: int = 0
    notes: tuple[str, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the stream's parts are written."""
        return self.root / names.folder(self.stream)


class Load:
    """Writes one load, or goes on with one that failed (`done`); `finish` writes the document. `secret` columns are masked.

    Where the schema was corrected since, the rows of `done` are copied into a load of its own; `done` goes when that stands.
    `like`: the same load with other rows, by its id and with its dead letters.
    """

    def __init__(
        self, plan: LoadPlan, secret: Collection[str] = (), done: Progress | None = None, like: Load | None = None
    ) -> None:
        self.plan = plan
        self.done = done
        self._old = done if done and done.columns != plan.columns else None
        same = None if self._old else done
        self._started = same.started_at if same else datetime.now(UTC)
        self._run_id = same.run_id if same else os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())
        load_id = same.load_id if same else names.load_id(self._run_id, TAP, plan.stream, self._started)
        if like:
            self._started, self._run_id, load_id = like._started, like._run_id, like._writer.load_id
        row_number = names.row_number(plan.schema.names) if plan.key_columns else None
        self._kept = 0  # rows
        self._writer: PartWriter = PartWriter(
            plan.folder,
            load_id,
            plan.schema,
            plan.source_types,
            plan.key_columns,
            limits=_LIMITS,
            row_number=row_number,
            statistics=[plan.replication_key] if plan.replication_key else [],
        )
        limit = plan.max_dead_letters
        self.dead_letters: DeadLetters = (
            like.dead_letters if like else DeadLetters(plan.root, load_id, plan.stream, limit, secret)
        )
        if same:
            self.dead_letters.resume(range(1, same.pages + 1))

    @property
    def rows(self) -> int:
        """The rows of the parts so far."""
        return self._writer.rows

    @property
    def written(self) -> int:
        """The bytes of the finished parts."""
        return sum(part.bytes for part in self._writer.files)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the parts."""
        return self._writer.schema

    @property
    def parts(self) -> list[Path]:
        """The finished parts."""
        return [self._writer.folder / part.path for part in self._writer.files]

    @property
    def kept(self) -> str:
        """What a failure leaves behind, in words."""
        if not self._kept:
            return "Nothing of this stream was kept; the next run reads it from the beginning"
        return f"{self._kept} rows of this stream are kept, and the next run goes on behind them"

    def fill(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Writes the batches as parts. On an error the unfinished part is left for `keep` or `discard`."""
        for batch in batches:
            self._writer.widen(batch.schema)
            self._writer.write(batch)
        self._writer.close()

    def taken_over(self) -> Iterator[pa.RecordBatch]:
        """The rows that an earlier run finished; none for a load that begins. Raises DamagedPart."""
        if self.done:
            added = [pa.field(name, types.type_of(column.arrow)) for name, column in self.done.evolved.items()]
            self._writer.widen(pa.schema([*self.plan.schema, *added]))
        if self._old:
            for part in self._old.files:
                for batch in batches_of(self._writer.folder, part, [*self._old.columns, *self._old.evolved]):
                    made = mending.mended(batch, self.schema)
                    self._writer.write(made)
                    yield made
        elif self.done:
            yield from self._writer.take_over(self.done.files)

    def keep(
        self,
        *,
        asked: str,
        place: int,
        received: int,
        tail: tuple[bytes, ...],
        total: int | None,
        pages: int,
        cut: int,
        left_out: int,
        evolved: Mapping[str, Column],
        counted: Counted,
    ) -> None:
        """Keeps what a load that fails has so far, and where it goes on: see Progress."""
        self._writer.close()
        kept = Progress(
            load_id=self._writer.load_id,
            run_id=self._run_id,
            started_at=self._started,
            at=datetime.now(UTC),
            asked=asked,
            place=place,
            received=received,
            tail=tail,
            greatest=self.greatest(),
            pages=pages,
            cut=cut,
            left_out=left_out,
            total=total,
            rows=self._writer.rows,
            files=self._writer.files,
            columns=dict(self.plan.columns),
            evolved={name: column for name, column in evolved.items() if name in self.schema.names},
            counted=counted,
        )
        progress.write(self._writer.folder, kept)
        self._kept = kept.rows
        self._forget_old()

    def leave(self, done: Progress) -> None:
        """Leaves what an earlier run kept as it is, where this one ends before it has taken all of it over."""
        self._writer.abandon()
        if self._old:
            progress.remove(self._writer.folder, self._writer.load_id)
        self._kept = done.rows

    def discard(self, keeps_letters: bool = False) -> None:
        """Takes everything away, where the stream is read again or nothing can be kept; the dead letters too, unless told."""
        self._writer.abandon()
        progress.remove(self._writer.folder, self._writer.load_id)
        if not keeps_letters:
            self.dead_letters.discard()
        self._kept = 0
        self._forget_old()

    def _forget_old(self) -> None:
        """Removes the load whose rows were copied, and its dead letters, which are read again."""
        if self._old:
            progress.remove(self._writer.folder, self._old.load_id)
            DeadLetters(self.plan.root, self._old.load_id, self.plan.stream).discard()
            self._old = None

    def greatest(self) -> str | None:
        """The greatest value of the replication key among the rows, as docs/contracts.md writes it.

        Of a load that goes on: among those of its first run. What changed at the source since then is newer, wherever it is.
        """
        if self.done:
            return self.done.greatest
        facts: ColumnFacts | None = self._writer.facts().get(self.plan.replication_key or "")
        return facts.max if facts else None

    def is_as(self, known: str | None) -> bool:
        """Whether its rows are those that a bookmark's fingerprint was made of; not where records were put aside."""
        if known is None or self.done or self.dead_letters.count:
            return False
        return again.whole(self.schema, self._writer.folder, self._writer.files) == known

    def again(self, which: Again) -> str | None:
        """The fingerprint of those that the next load reads once more."""
        return again.fingerprint(which, self.schema, self._writer.folder, self._writer.files)

    def finish(
        self, source_rows: int | None, upto: str | None, left_out: int, drift: Sequence[Drift], notes: Iterable[str]
    ) -> None:
        """Writes the load document, after which the load is complete.

        `source_rows` counts the records of the API, `left_out` those that on_schema_drift left out.
        """
        plan, writer = self.plan, self._writer
        key = plan.replication_key
        document = LoadDocument(
            load_id=writer.load_id,
            run_id=self._run_id,
            stream=plan.stream,
            source_schema=SOURCE_SCHEMA,
            source_table=plan.stream,
            mode=plan.mode,
            key_columns=plan.key_columns,
            cursor=Cursor(key, plan.start, upto) if key else None,
            schema=documents.columns_of(plan.stream, writer.schema, plan.source_types, comments=plan.comments),
            files=writer.files,
            rows=writer.rows,
            source_rows=source_rows,
            columns=writer.facts(),
            dead_letters=self.dead_letters.count,
            left_out=left_out,
            drift=list(drift),
            row_number=writer.row_number,
            started_at=utc_text(self._started),
            ended_at=utc_text(datetime.now(UTC)),
            notes=[*plan.notes, *notes],
        )
        documents.write(documents.document_path(writer.folder, writer.load_id), document)
        progress.forget(writer.folder, writer.load_id)
        self._forget_old()
