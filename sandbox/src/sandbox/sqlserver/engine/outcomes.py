"""The outcomes of statements, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from sandbox.sqlserver.types.sql_types import SqlType


@dataclass(frozen=True)
class Rows:
    """A result set: its columns' declared types and the batches, fetched as they are asked for."""

    columns: list[tuple[str, SqlType]]
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Affected:
    """A statement without rows; `count` None where SQL Server counts nothing, `word` is INSERT, UPDATE or DELETE."""

    count: int | None = None
    word: str = ""


@dataclass(frozen=True)
class TransactionChanged:
    """The session's transaction began or ended: `begin`, `commit` or `rollback`."""

    what: str


@dataclass(frozen=True)
class DatabaseChanged:
    """USE changed the database."""

    name: str


Outcome = Rows | Affected | TransactionChanged | DatabaseChanged
