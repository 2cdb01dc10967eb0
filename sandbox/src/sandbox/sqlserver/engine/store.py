"""The DuckDB file behind the server: made once, then opened; and what all sessions share."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sandbox import adventureworks, sqlserver
from sandbox.sqlserver.data.content import Content
from sandbox.sqlserver.data.fill import fill
from sandbox.sqlserver.data.parquet_tables import stored_in_order
from sandbox.sqlserver.engine.catalog_answers import CatalogAnswers
from sandbox.sqlserver.engine.change_versions import ChangeVersions
from sandbox.sqlserver.engine.clients import Clients
from sandbox.sqlserver.engine.faults import Faults
from sandbox.sqlserver.engine.looked_at import LookedAt
from sandbox.sqlserver.engine.rowversions import Rowversions
from sandbox.sqlserver.sql.macros import MACROS
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.lookup_macros import lookup_macros
from sandbox.sqlserver.system.server import Client
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.system.table_sizes import count_sizes
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.sql_types import STRINGS
from sandbox.sqlserver.wire.attention import AttentionWatch

_WAIT_SECONDS = 0.2  # after which a waiting statement looks again by itself


def _code_stamp() -> str:
    """Changes whenever the code that makes the data may have changed."""
    folders = [Path(package.__path__[0]) for package in (adventureworks, sqlserver)]
    sources = sorted(source for folder in folders for source in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


class Store:
    """The database: cursors for sessions, the catalog, locks, and who is connected.

    It is the `system.server.Server` that statements ask.
    """

    def __init__(
        self,
        folder: Path,
        database: str,
        content: Content,
        faults: Path | None = None,
        clock_offset: float = 0,
        counts_rows: bool = False,
        copies: Path | None = None,
        threads: int = 1,
    ) -> None:
        self.database = database
        self.looked_at = LookedAt() if counts_rows else None
        self.faults = Faults(faults, database)
        self.clock_offset = clock_offset  # seconds that the server's clock is ahead
        self.main = _opened(folder, database, content, copies, threads)
        self.catalog = Catalog(self.main, database)
        for given in content.parquet:
            spec = self.catalog.spec(given.schema, given.table)
            if spec is not None and spec.key:
                self._check_order(spec)
        self.sessions = Clients()
        self.attention = AttentionWatch()
        self.answers = CatalogAnswers()
        self._sizer = self.cursor()
        self._sizing = threading.Lock()
        self.rowversions = Rowversions(self._sizer)
        self.change_versions = ChangeVersions()
        self.defining = threading.RLock()  # one change of definitions at a time
        self._ended = threading.Condition()
        self._lock = threading.Lock()
        self._tables: dict[int, threading.Lock] = {}
        self.count_sizes()

    def _check_order(self, spec: TableSpec) -> None:
        """Whether it is still stored in key order: it may have been changed since it was made."""
        key = [spec.column(name) for name in spec.key]
        plain = not any(column.kind.name in STRINGS for column in key)
        if plain and stored_in_order(self.main, spec.stored, [column.stored for column in key]):
            self.catalog.ordered.add(spec.object_id)

    @property
    def rows_looked_at(self) -> int:
        """By all statements on tables so far; 0 where nobody asked for it."""
        return self.looked_at.rows if self.looked_at else 0

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database."""
        return self.main.cursor()

    def close(self) -> None:
        """Writes everything and closes the file."""
        self.main.close()

    # what statements ask

    def clients(self) -> list[Client]:
        """Who is connected."""
        return self.sessions.all()

    def last_rowversion(self) -> int:
        """The last rowversion given out."""
        return self.rowversions.last()

    def min_active_rowversion(self) -> int:
        """The lowest rowversion that is not committed yet, else the next one."""
        return self.rowversions.min_active()

    def count_sizes(self) -> None:
        """Brings the rows and bytes in sys.partitions and the like up to date."""
        with self._sizing:
            stale = set(self.catalog.stale)
            if not stale:
                return
            self.catalog.stale -= stale
            tables = [spec for spec in self.catalog.specs.values() if spec.object_id in stale]
            with self.answers.changing():
                count_sizes(self._sizer, [spec for spec in tables if not spec.select and not spec.target])

    # between transactions

    @contextmanager
    def adding_keys(self, object_id: int) -> Iterator[None]:
        """Held while an autocommitted statement adds keys to a table, so that the next one sees them and cannot repeat them."""
        with self._lock:
            lock = self._tables.setdefault(object_id, threading.Lock())
        with lock:
            yield

    def settle(self, spid: int) -> None:
        """The session's transaction has ended: releases what it held and wakes those who wait."""
        self.rowversions.settle(spid)
        with self._ended:
            self._ended.notify_all()

    def wait(self) -> None:
        """Waits until another transaction ends, or for a moment."""
        with self._ended:
            self._ended.wait(_WAIT_SECONDS)


def _opened(folder: Path, database: str, content: Content, copies: Path | None, threads: int) -> duckdb.DuckDBPyConnection:
    """The file in the folder, made anew unless it holds this content; `copies`: see `_copied`."""
    stamp, file = folder / "version", folder / "store.duckdb"
    code = _code_stamp()
    wanted = f"{code} {database} {content.stamp}\n"
    if not file.exists() or not stamp.exists() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        for old in (file, folder / "store.duckdb.wal"):
            old.unlink(missing_ok=True)
        if copies is None or content.parquet:
            _make(file, database, content)
        else:
            shutil.copyfile(_copied(copies, code, wanted, database, content), file)
        stamp.write_text(wanted)
    # each connection has its own thread besides, and the clients share this machine
    return duckdb.connect(str(file), config={"threads": threads, "preserve_insertion_order": True})


def _copied(copies: Path, code: str, wanted: str, database: str, content: Content) -> Path:
    """A file of this content in the folder of copies, made where it is missing: a copy takes 0.5 s of CPU less than a fresh one.

    Files of other code are removed.
    """
    found = copies / f"{code}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.duckdb"
    if not found.exists():
        copies.mkdir(parents=True, exist_ok=True)
        for old in copies.glob("*.duckdb"):
            if not old.name.startswith(code):
                old.unlink(missing_ok=True)
        made = copies / f"{found.name}.{os.getpid()}"
        _make(made, database, content)
        made.replace(found)
    return found


def _make(file: Path, database: str, content: Content) -> None:
    """A fresh file; complete, and closed."""
    with duckdb.connect(str(file), config={"threads": 2, "preserve_insertion_order": True}) as main:
        for macro in MACROS:
            main.execute(macro)
        fill(main, content, database)
        for macro in lookup_macros(database, collation(content.collation).case):
            main.execute(macro)
        main.execute("CHECKPOINT")
