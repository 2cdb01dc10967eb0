"""Answers from the catalog alone, kept until somebody commits a change of it: clients ask the same again and again.

DuckDB plans a discovery query in about 25 ms, and the tap asks for each table several times in each run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from sandbox.sqlserver.engine.outcomes import Rows
from sandbox.sqlserver.types.sql_types import SqlType

_ROWS = 2_048  # of an answer that is kept
_ANSWERS = 512

# a DuckDB statement, into which all that it takes from the session and the clock is written, and its bound values
Question = tuple[str, tuple[Any, ...]]


class CatalogAnswers:
    """Results by question, for statements that read no table. A moment is a number of commits of changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Question, tuple[list[tuple[str, SqlType]], list[pa.RecordBatch]]] = {}
        self._commits = 0  # that have begun
        self._committing = 0  # that have not ended

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around a commit that changes the catalog, its sizes and versions included.

        All answers are forgotten, and none is kept of a moment before its end.
        """
        with self._lock:
            self._commits += 1
            self._committing += 1
            self._kept.clear()
        try:
            yield
        finally:
            with self._lock:
                self._committing -= 1

    def moment(self) -> int | None:
        """Now; None while somebody commits."""
        with self._lock:
            return None if self._committing else self._commits

    def find(self, question: Question, moment: int | None) -> Rows | None:
        """The answer as of the moment, if it is known."""
        with self._lock:
            found = self._kept.get(question) if moment == self._commits else None
        return Rows(found[0], iter(found[1])) if found is not None else None

    def keeping(self, question: Question, rows: Rows, moment: int | None) -> Rows:
        """The same rows, kept once all of them were asked for, unless somebody has committed since the moment."""
        return Rows(rows.columns, self._keeping(question, rows, moment))

    def _keeping(self, question: Question, rows: Rows, moment: int | None) -> Iterator[pa.RecordBatch]:
        kept, count = list[pa.RecordBatch](), 0
        for batch in rows.batches:
            count += batch.num_rows
            kept = [*kept, batch] if count <= _ROWS else []
            yield batch
        with self._lock:
            if moment == self._commits and count <= _ROWS:
                if len(self._kept) >= _ANSWERS:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[question] = rows.columns, kept
