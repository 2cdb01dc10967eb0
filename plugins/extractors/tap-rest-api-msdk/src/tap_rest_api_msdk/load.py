"""One load: batches into parts, and the load document that makes them count (docs/contracts.md)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from singer_arrow import documents, names
from singer_arrow.documents import ColumnFacts, Cursor, LoadDocument, Mode, PartFile
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartWriter
from tap_rest_api_msdk.contradictions import SOURCE_SCHEMA

TAP = "tap-rest-api-msdk"


@dataclass(frozen=True)
class LoadPlan:
    """What is known of a load before its first record; `start` is the bookmark it reads from, if the API was told."""

    stream: str
    root: Path
    schema: pa.Schema
    source_types: dict[str, str]
    mode: Mode
    key_columns: list[str]
    replication_key: str | None
    start: str | None
    notes: tuple[str, ...] = ()


class Load:
    """Writes one load. Parts are final as soon as they are full; `finish` writes the document."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self._started = datetime.now(UTC)
        self._run_id = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())
        load_id = names.load_id(self._run_id, TAP, plan.stream, self._started)
        folder = plan.root / names.folder(plan.stream)
        row_number = names.row_number(plan.schema.names) if plan.key_columns else None
        self._writer = PartWriter(folder, load_id, plan.schema, plan.source_types, plan.key_columns, row_number=row_number)

    @property
    def rows(self) -> int:
        """The rows of the parts so far."""
        return self._writer.rows

    @property
    def kept(self) -> str:
        """What a failure leaves behind, in words."""
        files = self._writer.files
        if not files:
            return "Nothing of this stream was kept; the next run reads it from the beginning"
        rows = sum(part.rows for part in files)
        return (
            f"{len(files)} finished parts with {rows} rows stay in {self._writer.folder}; without "
            f"{self._writer.load_id}.load.json they are not a load, and the next run reads the stream from the beginning"
        )

    def parts(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Path]:
        """Writes the batches, and yields each finished part. Abandons the unfinished one on any error."""
        try:
            for batch in batches:
                yield from self._paths(self._writer.write(batch))
            yield from self._paths(self._writer.close())
        except BaseException:
            self._writer.abandon()
            raise

    def _paths(self, parts: list[PartFile]) -> list[Path]:
        return [self._writer.folder / part.path for part in parts]

    def greatest(self) -> str | None:
        """The greatest value of the replication key among the rows, as docs/contracts.md writes it."""
        facts: ColumnFacts | None = self._writer.facts().get(self.plan.replication_key or "")
        return facts.max if facts else None

    def finish(self, source_rows: int | None, upto: str | None) -> None:
        """Writes the load document, after which the load is complete."""
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
            schema=documents.columns_of(plan.stream, plan.schema, plan.source_types),
            files=writer.files,
            rows=writer.rows,
            source_rows=source_rows,
            columns=writer.facts(),
            row_number=writer.row_number,
            started_at=utc_text(self._started),
            ended_at=utc_text(datetime.now(UTC)),
            notes=list(plan.notes),
        )
        documents.write(documents.document_path(writer.folder, writer.load_id), document)
