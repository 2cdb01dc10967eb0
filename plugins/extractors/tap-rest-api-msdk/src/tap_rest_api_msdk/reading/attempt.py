"""One read of a stream into a load: pages to parts, the proof of their keys, and what is kept where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from singer_arrow import lines
from singer_arrow.errors import ArrowSingerError, DamagedPart, Failure, TooManyDeadLetters
from tap_rest_api_msdk import mending
from tap_rest_api_msdk.errors import Doubled, Moved, TapError
from tap_rest_api_msdk.load import Load, LoadPlan
from tap_rest_api_msdk.progress import Progress
from tap_rest_api_msdk.reading.filters import Cut
from tap_rest_api_msdk.reading.keys import KeyProof
from tap_rest_api_msdk.reading.together import Together
from tap_rest_api_msdk.reading.walk import AtRest
from tap_rest_api_msdk.reading.walks import Walks
from tap_rest_api_msdk.records.converter import Converter
from tap_rest_api_msdk.stream_choice import StreamChoice


class Attempt:
    """Reads once, or goes on where an earlier run came to (`done`). `asked` is the fingerprint of what is read."""

    def __init__(
        self, choice: StreamChoice, converter: Converter, plan: LoadPlan, asked: str, walks: Walks, done: Progress | None = None
    ) -> None:
        self.walks = walks
        self.load = Load(plan, converter.secret, done)
        self._dropped = 0  # rows that came again
        self.left_out = done.left_out if done else 0  # records that on_schema_drift left out
        self._choice, self._converter, self._asked = choice, converter, asked
        self._cut = Cut(choice, converter.schema, plan.start_read, plan.lookback)
        self._cut.rows = done.cut if done else 0
        self._proof = KeyProof(choice.stream, choice.key)
        self._pages = done.pages if done else 0
        self._to_take_over = done
        if done:
            converter.count_from(done.counted)
        at_rest = AtRest(done.place, done.received, done.tail) if done else None
        self._done = (self._pages, self._cut.rows, self.left_out, at_rest, converter.counted)  # as of the last rows in the load

    @property
    def dropped(self) -> int:
        """The records that came a second time and are in the load once."""
        return self._dropped + self.walks.doubled

    @property
    def source_rows(self) -> int | None:
        """The records that the API says a load of this stream has; None where it gives no total."""
        return None if self.walks.total is None else self.walks.total - self._cut.rows

    def parts(self) -> list[Path]:
        """The parts of a whole load in which each key is once.

        Raises Moved, Doubled, TapError or ArrowSingerError; then there is no load document, and what is kept is said.
        """
        try:
            self.load.fill(self._shown(self._batches()))
        except (Moved, DamagedPart):
            raise
        except (TapError, ArrowSingerError) as error:
            self._keep(isinstance(error, TooManyDeadLetters))
            raise error.keeping(self._with_letters(error)) from None
        except BaseException:
            self._keep()
            raise
        if self.walks.doubled and self.walks.total is None:
            raise Doubled(
                f"stream {self._choice.stream}: {self.walks.doubled} records came twice on a page, so that others may be missing"
            )
        if doubles := self._proof.doubles(self.load.parts):
            raise Doubled(
                f"stream {self._choice.stream}: keys came more than once, so that others may be missing: {'; '.join(doubles)}"
            )
        return self.load.parts

    def _shown(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same, with a bar where somebody watches."""
        bar = lines.Bar(self._choice.stream)
        try:
            for batch in batches:
                yield batch
                bar.move(self.load.rows, self.walks.total, self.load.written)
        finally:
            bar.end(self.load.rows)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self.load.taken_over():
            self._proof.add(batch)
        self._to_take_over = None
        together = Together()
        try:
            for page in self.walks:
                together.add(page, self.walks.at_rest)
                if together.is_enough:
                    enough, together = together, Together()
                    yield from self._converted(enough)
        except (Moved, DamagedPart):
            raise
        except (TapError, ArrowSingerError):
            yield from self._converted(together)
            raise
        yield from self._converted(together)

    def _converted(self, together: Together) -> Iterator[pa.RecordBatch]:
        if not together.pages:
            return
        for pages, at_rest, piece in together.pieces(self._converter):
            self._pages += pages
            self.load.dead_letters.take(piece.rejected, self._pages)
            self._proof.add(piece.batch)
            self.left_out += len(piece.left_out)
            yield self._cut.behind(piece.batch).select(self._choice.names(self._converter.schema.names))
            self._done = (self._pages, self._cut.rows, self.left_out, at_rest, self._converter.counted)

    def _keep(self, keeps_letters: bool = False) -> None:
        """Keeps a keyed load whose pages overlap: its keys, total and last record prove that the rest fits; nothing of others."""
        if self._to_take_over:
            self.load.leave(self._to_take_over)
            return
        walk = self.walks.walk
        pages, cut, left_out, at_rest, counted = self._done
        if at_rest is None or not self._choice.key or self.walks.is_of_children or walk is None or walk.total is None:
            self.load.discard(keeps_letters)
            return
        self.load.keep(
            asked=self._asked,
            place=at_rest.place,
            received=at_rest.received,
            tail=at_rest.tail,
            total=walk.total,
            pages=pages,
            cut=cut,
            left_out=left_out,
            evolved=mending.columns_of(each for each in self._converter.evolved if each.name not in self.load.plan.columns),
            counted=counted,
        )

    def _with_letters(self, error: Failure) -> str:
        """What is safe; of dead letters also where they are."""
        if not isinstance(error, TooManyDeadLetters):
            return self.load.kept
        return f"They are in {self.load.dead_letters.path}. {self.load.kept}"

    def each_once(self, doubled: Doubled) -> list[Path]:
        """The parts of the load without the rows that came again, where two reads agree that they do and are the same.

        Raises Doubled where two rows of one key differ; then nothing of the load is kept.
        """
        old = self.load.parts
        seen: dict[tuple[object, ...], tuple[object, ...]] = {}
        suspects = self._proof.suspects(old)
        names, key = self.load.schema.names, list(self._choice.key)

        def batches() -> Iterator[pa.RecordBatch]:
            for part in old:
                for batch in pq.ParquetFile(part).iter_batches(columns=names):
                    yield batch.filter(pa.array(list(self._is_first(batch, key, suspects, seen, doubled)), pa.bool_()))

        fresh = Load(self.load.plan, like=self.load)
        try:
            fresh.fill(batches())
        except BaseException:
            fresh.discard()
            raise
        for part in {*old} - {*fresh.parts}:
            part.unlink()
        self.load = fresh
        return fresh.parts

    def _is_first(
        self,
        batch: pa.RecordBatch,
        key: list[str],
        suspects: set[int],
        seen: dict[tuple[object, ...], tuple[object, ...]],
        doubled: Doubled,
    ) -> Iterator[bool]:
        keys = zip(*(batch.column(name).to_pylist() for name in key), strict=True)
        for number, one in enumerate(keys):
            if hash(one) not in suspects:
                yield True
                continue
            row = tuple(column[number].as_py() for column in batch.columns)
            if seen.setdefault(one, row) is row:
                yield True
            elif seen[one] == row:
                self._dropped += 1
                yield False
            else:
                raise doubled
