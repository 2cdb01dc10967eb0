"""A session's transaction, and the DuckDB transaction behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

import duckdb

from sandbox.sqlserver.engine.duckdb_errors import translated
from sandbox.sqlserver.engine.outcomes import TransactionChanged
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import SqlError, known

_READ_ONCE = ("SNAPSHOT", "SERIALIZABLE", "REPEATABLE READ")  # levels at which what was read stays as it was


class SessionTransaction:
    """The state of a session's transaction: `count` is @@TRANCOUNT, `in_store` whether a DuckDB transaction is open."""

    def __init__(self, store: Store, cursor: duckdb.DuckDBPyConnection, spid: int) -> None:
        self.store = store
        self.cursor = cursor
        self.spid = spid
        self.isolation = "READ COMMITTED"
        self.implicit = False
        self.count = 0
        self.in_store = False
        self._own = False  # the DuckDB transaction has changed something, which it alone sees
        self._catalog = False  # and some of that in the catalog
        self._read = False  # it has its snapshot
        self._moment: int | None = None  # of that snapshot, as `CatalogAnswers` counts; None where it cannot be told
        self.defined = False  # the open transaction has changed definitions
        self._changes: int | None = None  # its id for change tracking, once it has changed tracked rows
        self._snapshot: int | None = None  # changes of definitions before the transaction's first read

    @contextmanager
    def translating(self) -> Iterator[None]:
        """DuckDB's errors become SQL Server's; an interrupted statement's stays what it is."""
        try:
            yield
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise translated(error, self.store.catalog, self.isolation) from error

    def begin(self) -> Iterator[TransactionChanged]:
        """BEGIN TRANSACTION.

        For the isolation levels that keep what was read it is one of the store, which takes its snapshot with the first
        read; under READ COMMITTED each statement sees what is committed by then, until the first change.
        """
        self.count += 1
        if self.count == 1:
            if self.isolation in _READ_ONCE:
                self.begin_in_store()
            yield TransactionChanged("begin")

    def begin_implicitly(self) -> Iterator[TransactionChanged]:
        """Begins one if SET IMPLICIT_TRANSACTIONS is ON and none is open."""
        if self.implicit and not self.count:
            yield from self.begin()

    def begin_in_store(self) -> None:
        """Begins a DuckDB transaction, unless one is open."""
        if not self.in_store:
            self.cursor.execute("BEGIN TRANSACTION")
            self.in_store, self._own, self._catalog, self._read = True, False, False, False

    def begin_to_change(self, catalog: bool) -> None:
        """The same for a change, of the catalog or of rows alone."""
        self.begin_in_store()
        self._own = True
        self._catalog |= catalog

    def moment(self, of_tables: bool) -> int | None:
        """What the next query sees, as `CatalogAnswers` counts: in a DuckDB transaction what its first query saw.

        None where that cannot be told, or the transaction sees changes of its own. `of_tables`: the query reads tables, or the
        catalog's; a query of neither need not begin the snapshot.
        """
        answers = self.store.answers
        if not self.in_store:
            return answers.moment()
        if self._own:
            return None
        if not self._read:
            self._read, before = True, answers.moment()
            if of_tables:
                self.cursor.execute("SELECT name FROM mssys.state").fetchall()
            self._moment = before if of_tables and before == answers.moment() else None
        return self._moment

    def changes(self) -> int:
        """The id under which change tracking keeps what this transaction changes."""
        if self._changes is None:
            self._changes = self.store.change_versions.transaction()
        return self._changes

    def commit_in_store(self) -> None:
        """Commits in DuckDB; a transaction that changed tracked rows gets the next version."""
        catalog = self._catalog or self._changes is not None  # that of change tracking
        with self.store.answers.changing() if catalog else nullcontext():
            if self._changes is None:
                self.cursor.execute("COMMIT")
                return
            with self.store.change_versions.giving(self.store.main, self.cursor, self._changes, time.time()):
                self.cursor.execute("COMMIT")

    def end(self, what: str) -> Iterator[TransactionChanged]:
        """COMMIT (`commit`) of one level, or ROLLBACK (`rollback`) of all. Raises SqlError 3902 or 3903 where none is open."""
        if not self.count:
            number = 3902 if what == "commit" else 3903
            raise SqlError(number, f"The {what.upper()} TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.count = self.count - 1 if what == "commit" else 0
        if self.count:
            return
        if self.in_store:
            self.in_store = False
            with self.translating():
                try:
                    if what == "commit":
                        self.commit_in_store()
                    else:
                        self.cursor.execute("ROLLBACK")
                finally:
                    self.settle(what == "rollback")
        self._snapshot = None
        yield TransactionChanged(what)

    def check_snapshot(self, reads: set[int]) -> None:
        """Raises SqlError 3952 where snapshots are not allowed, 3961 where a table's definition is younger than this one's."""
        if self.isolation != "SNAPSHOT" or not reads:
            return
        catalog = self.store.catalog
        if not catalog.settings.get("snapshot"):
            raise known(3952, self.store.database)
        if not self.count:
            return
        if self._snapshot is None:
            self._snapshot = catalog.version
        if any(spec.object_id in reads and spec.version > self._snapshot for spec in catalog.specs.values()):
            raise known(3961, self.store.database)

    def roll_back_in_store(self) -> None:
        """Rolls back in DuckDB, which may have done so by itself."""
        with suppress(duckdb.Error):
            self.cursor.execute("ROLLBACK")
        self.in_store = False
        self.settle(True)

    def settle(self, undone: bool) -> None:
        """A transaction has ended in the store."""
        if undone and self.defined:
            self.store.catalog.load(self.cursor)
        self.defined, self._snapshot, self._changes = False, None, None
        self.store.settle(self.spid)

    def close(self) -> None:
        """Rolls back what is open in the store."""
        if self.in_store:
            self.roll_back_in_store()
