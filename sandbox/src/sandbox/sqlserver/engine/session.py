"""One client's session on the store: statements, transactions, prepared statements."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from sandbox.sqlserver.changes.commands import command
from sandbox.sqlserver.changes.definitions import definition, simplified
from sandbox.sqlserver.changes.rows import Change, change, duplicates
from sandbox.sqlserver.engine.duckdb_errors import rethrown, translated
from sandbox.sqlserver.engine.long_rows import read, wide
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.errors import NotSupported, SqlError, bad_syntax, known
from sandbox.sqlserver.sql.batches import Simple, split
from sandbox.sqlserver.sql.functions.server import LEVELS, Client
from sandbox.sqlserver.sql.queries import Compiler, Pages, Parameter, Query
from sandbox.sqlserver.types.sql_types import MAX, SqlType

ROWS_PER_BATCH = 16_384
_BOUND = re.compile(r"CAST\(\$(\d+) AS ")


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
class Transaction:
    """The session's transaction began or ended: `begin`, `commit` or `rollback`."""

    what: str


@dataclass(frozen=True)
class Database:
    """USE changed the database."""

    name: str


Outcome = Rows | Affected | Transaction | Database


@dataclass
class Session:
    """What the server keeps for one login."""

    store: Store
    spid: int
    facts: dict[str, Any] = field(default_factory=dict)
    client: Client | None = None
    isolation: str = "READ COMMITTED"
    implicit: bool = False
    trancount: int = 0
    in_store: bool = False  # a DuckDB transaction is open
    snapshot: int | None = None  # changes of definitions before the transaction's first read
    defined: bool = False  # the open transaction has changed definitions
    lock_timeout: int = -1  # ms, -1 for ever
    cancelled: threading.Event = field(default_factory=threading.Event)
    prepared: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cursor = self.store.cursor()

    def close(self) -> None:
        """Roll back what is open and let go of the store."""
        if self.in_store:
            with suppress(duckdb.Error):
                self.cursor.execute("ROLLBACK")
            self._settle(True)
        self.cursor.close()

    def interrupt(self) -> None:
        """From another thread: what runs is to end."""
        self.cancelled.set()
        with suppress(duckdb.Error):  # it may have ended by now
            self.cursor.interrupt()

    def run(self, sql: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        """The outcomes of a batch, one statement after the other.

        Raises SqlError; what was answered before it stays answered.
        """
        for statement in split(sql):
            fault = self.store.faults.statement(statement.text if isinstance(statement, Simple) else statement)
            if fault is not None and fault.run:
                other = Session(self.store, 0, dict(self.facts))
                for _ in other.run(fault.run, {}):
                    pass
                other.close()
            outcomes = self._simple(statement) if isinstance(statement, Simple) else self._parsed(statement, parameters)
            self._show()
            if fault is None or fault.harmless:
                yield from outcomes
                continue
            if not fault.after_rows:
                fault.strike()
            for outcome in outcomes:
                yield Rows(outcome.columns, fault.after(outcome.batches)) if isinstance(outcome, Rows) else outcome

    def _show(self) -> None:
        """What sys.dm_exec_sessions tells of the session."""
        if self.client is not None:
            self.client.isolation, self.client.transactions = LEVELS[self.isolation], self.trancount

    def _parsed(self, statement: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        found = command(statement, self._compiler(parameters))
        if found is not None:
            yield from self._change(found, self._compiler(parameters), "")
            return
        try:
            nodes = sqlglot.parse(simplified(statement), read="tsql")
        except sqlglot.errors.ParseError as error:
            near = error.errors[0].get("highlight", "") if error.errors else statement[:30]
            raise bad_syntax(str(near)) from None
        for node in nodes:
            if node is not None:
                yield from self._statement(node, parameters)

    def _compiler(self, parameters: dict[str, Parameter]) -> Compiler:
        facts = {"spid": self.spid, "trancount": self.trancount, "database": self.store.database, "store": self.store}
        return Compiler(self.store.catalog, parameters, {**self.facts, **facts})

    def _statement(self, node: Any, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        compiler = self._compiler(parameters)
        if isinstance(node, exp.Query):
            query = compiler.query(node)  # type: ignore[arg-type]
            if self.implicit and not self.trancount and node.find(exp.Table):
                yield from self.begin()
            self._check_snapshot(compiler)
            if compiler.sized:
                self.store.count_sizes()
            with self._translating():
                rows = self._rows(query, compiler.binds)
            yield rows
            return
        work = definition(node, compiler) or change(node, compiler)
        self._check_snapshot(compiler)
        yield from self._change(work, compiler, type(node).__name__.upper())

    def _change(self, work: Change, compiler: Compiler, word: str) -> Iterator[Outcome]:
        if self.implicit and not self.trancount:
            yield from self.begin()
        with self._translating():
            count = self._apply(work, compiler)
        yield Affected(None if work.defines else count, word)

    def _rows(self, query: Query, binds: list[Any]) -> Rows:
        if query.pages is not None and all(offer.kind for offer in query.columns) and wide(self.cursor, query.pages):
            shape = [(offer.name, offer.kind) for offer in query.columns if offer.kind is not None]
            return Rows(shape, self._paged(query.pages, binds))
        reader = self.cursor.execute(query.sql, _used(query.sql, binds)).to_arrow_reader(ROWS_PER_BATCH)
        declared = [
            (offer.name, offer.kind or _kind_of(reader.schema.field(number).type)) for number, offer in enumerate(query.columns)
        ]
        for _, kind in declared:
            if kind.name in ("sql_variant", "hierarchyid", "geography"):
                raise NotSupported(f"a {kind.name} value in a result (convert it to nvarchar in the SELECT)")
        return Rows(declared, self._stream(reader))

    def _stream(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except (pa.ArrowException, OSError) as error:  # what Arrow makes of DuckDB's errors
            if self.cancelled.is_set():
                raise duckdb.InterruptException("cancelled") from None
            with self._translating():
                raise rethrown(error) from error
        finally:
            reader.close()

    def _paged(self, pages: Pages, binds: list[Any]) -> Iterator[pa.RecordBatch]:
        """Long rows, a few at a time; all of one state of the store."""
        own = not self.in_store
        with self._translating():
            if own:
                self.cursor.execute("BEGIN TRANSACTION")
            try:
                yield from read(self.cursor, pages, lambda sql: _used(sql, binds))
            finally:
                if own:
                    self.cursor.execute("ROLLBACK")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise translated(error, self.store.catalog, self.isolation) from error

    # changes

    def _apply(self, work: Change, compiler: Compiler) -> int | None:
        """Runs it, after the transactions of others that are in its way."""
        deadline = time.monotonic() + self.lock_timeout / 1_000 if self.lock_timeout >= 0 else None
        while True:
            try:
                return self._once(work, compiler)
            except duckdb.TransactionException:
                if self.trancount or self.isolation == "SNAPSHOT":
                    raise
                if deadline is not None and time.monotonic() >= deadline:
                    raise known(1222, self.store.database) from None
                if self.cancelled.is_set():
                    raise duckdb.InterruptException("cancelled") from None
                self.store.wait()

    def _once(self, work: Change, compiler: Compiler) -> int | None:
        own = not self.trancount
        with self.store.alone(work.spec.object_id) if own and work.checks and work.spec is not None else nullcontext():
            return self._in_transaction(work, compiler, own)

    def _in_transaction(self, work: Change, compiler: Compiler, own: bool) -> int | None:
        versions = work.spec is not None and any(column.kind.name == "rowversion" for column in work.spec.columns)
        if not self.in_store:
            self.cursor.execute("BEGIN TRANSACTION")
            self.in_store = True
        try:
            with ExitStack() as held:
                if work.defines:
                    held.enter_context(self.store.defining)
                if versions:
                    held.enter_context(self.store.numbering(self.spid))
                count = self._run(work, compiler)
                if own:
                    self.cursor.execute("COMMIT")
                if work.defines:
                    self.store.catalog.put(work.puts, work.drops)
                    self.store.catalog.load_state(self.cursor)
                    self.defined = not own
        except (duckdb.Error, SqlError):
            with suppress(duckdb.Error):  # a failed COMMIT has rolled back by itself
                self.cursor.execute("ROLLBACK")
            self.in_store = False
            self._settle(True)
            raise
        if work.spec is not None:
            self.store.catalog.stale.add(work.spec.object_id)
        if own:
            self.in_store = False
            self._settle(False)
        return count

    def _run(self, work: Change, compiler: Compiler) -> int | None:
        count = None
        for number, sql in enumerate(work.statements):
            rows = self.cursor.execute(sql, _used(sql, compiler.binds)).fetchall()
            if number == 0 and rows and not work.defines:
                count = int(rows[0][0])
        if work.checks and work.spec is not None:
            for sql, error in duplicates(work.spec, compiler):
                found = self.cursor.execute(sql).fetchone()
                if found:
                    value = ", ".join("<NULL>" if one is None else str(one) for one in found)
                    if work.defines:
                        text = (
                            "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name"
                        )
                        raise SqlError(1505, f"{text} '{work.spec.full_name}'. The duplicate key value is ({value}).")
                    raise SqlError(error.number, f"{error} The duplicate key value is ({value}).", error.severity)
        if work.defines:
            self.store.catalog.save(self.cursor, work.puts, work.drops)
            if work.state is not None:
                work.state(self.cursor)
        return count

    def _settle(self, undone: bool) -> None:
        """A transaction has ended in the store."""
        if undone and self.defined:
            self.store.catalog.load(self.cursor)
        self.defined, self.snapshot = False, None
        self.store.settled(self.spid)

    # transactions

    def _simple(self, statement: Simple) -> Iterator[Outcome]:
        what, value = statement.what, statement.value
        if what == "isolation":
            self.isolation = value
        elif what == "implicit":
            self.implicit = value == "ON"
        elif what == "lock_timeout":
            self.lock_timeout = self.facts["lock_timeout"] = int(value)
        elif what == "use":
            if value.lower() not in (self.store.database.lower(), "master"):
                raise SqlError(911, f"Database '{value}' does not exist. Make sure that the name is entered correctly.")
            yield Database(value)
        elif what == "kill":
            self.store.kill(int(value), self.spid)
        elif what == "begin":
            yield from self.begin()
        elif what in ("commit", "rollback"):
            yield from self.end(what)
        elif what in ("commit_if", "rollback_if") and self.trancount:
            yield from self.end(what.removesuffix("_if"))
        yield Affected()

    def begin(self) -> Iterator[Outcome]:
        """A transaction: for the isolation levels that keep what was read it is one of the store, which takes its
        snapshot with the first read; under READ COMMITTED each statement sees what is committed by then, until the
        first change."""
        self.trancount += 1
        if self.trancount == 1:
            if self.isolation in ("SNAPSHOT", "SERIALIZABLE", "REPEATABLE READ"):
                self.cursor.execute("BEGIN TRANSACTION")
                self.in_store = True
            yield Transaction("begin")

    def _check_snapshot(self, compiler: Compiler) -> None:
        """Raises SqlError 3952 where snapshots are not allowed, 3961 where a table's definition is younger than this one's."""
        if self.isolation != "SNAPSHOT" or not compiler.touched:
            return
        catalog = self.store.catalog
        if not catalog.settings.get("snapshot"):
            raise known(3952, self.store.database)
        if not self.trancount:
            return
        if self.snapshot is None:
            self.snapshot = catalog.version
        if any(spec.object_id in compiler.touched and spec.version > self.snapshot for spec in catalog.specs.values()):
            raise known(3961, self.store.database)

    def end(self, what: str) -> Iterator[Outcome]:
        """COMMIT one level, or ROLLBACK all."""
        if not self.trancount:
            number = 3902 if what == "commit" else 3903
            raise SqlError(number, f"The {what.upper()} TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.trancount = self.trancount - 1 if what == "commit" else 0
        if self.trancount:
            return
        if self.in_store:
            self.in_store = False
            with self._translating():
                try:
                    self.cursor.execute(what.upper())
                finally:
                    self._settle(what == "rollback")
        self.snapshot = None
        yield Transaction(what)

    def reset(self) -> None:
        """sp_reset_connection: what a pooled connection's last user left is undone."""
        if self.trancount:
            list(self.end("rollback"))
        self.isolation, self.implicit, self.lock_timeout = "READ COMMITTED", False, -1
        self.prepared.clear()


def _used(sql: str, binds: list[Any]) -> dict[str, Any]:
    return {number: binds[int(number) - 1] for number in set(_BOUND.findall(sql))}


def _kind_of(kind: pa.DataType) -> SqlType:
    """The SQL Server type of a DuckDB result column without a declared one."""
    if pa.types.is_decimal(kind):
        return SqlType("decimal", 0, kind.precision, kind.scale)
    names = {
        pa.bool_(): "bit",
        pa.uint8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int8(): "smallint",
        pa.int64(): "bigint",
        pa.float32(): "real",
        pa.float64(): "float",
        pa.date32(): "date",
        pa.null(): "int",
    }
    if kind in names:
        return SqlType(names[kind])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return SqlType("nvarchar", MAX)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return SqlType("varbinary", MAX)
    raise NotSupported(f"a result of type {kind}")
