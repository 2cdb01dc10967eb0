"""One client's session on the store: its statements, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.commands import command
from sandbox.sqlserver.changes.definitions import definition, for_parser
from sandbox.sqlserver.changes.rows import row_change
from sandbox.sqlserver.engine.changing import run_change
from sandbox.sqlserver.engine.looked_at import skipped_in_order
from sandbox.sqlserver.engine.outcomes import Affected, DatabaseChanged, Outcome, Rows, TransactionChanged
from sandbox.sqlserver.engine.results import open_rows
from sandbox.sqlserver.engine.store import Store
from sandbox.sqlserver.engine.transaction import SessionTransaction
from sandbox.sqlserver.errors import SqlError, bad_syntax
from sandbox.sqlserver.sql.batches import SessionStatement, split
from sandbox.sqlserver.sql.compiler import Compiler
from sandbox.sqlserver.sql.statement import Query
from sandbox.sqlserver.system.server import ISOLATION_LEVELS, Client, SessionFacts
from sandbox.sqlserver.types.stored_values import Parameter


class Session:
    """What the server keeps for one login."""

    def __init__(self, store: Store, client: Client) -> None:
        self.store = store
        self.client = client
        self.cursor = store.cursor()
        if store.looked_at is not None:
            store.looked_at.prepare(self.cursor)
        self.transaction = SessionTransaction(store, self.cursor, client.spid)
        self.lock_timeout_ms = -1  # -1: for ever
        self.rowcount = 0  # @@ROWCOUNT
        self.cancelled = threading.Event()
        self.prepared: dict[int, tuple[str, str]] = {}  # by handle: the parameters' declaration, and the SQL

    def close(self) -> None:
        """Rolls back what is open and releases the store."""
        self.transaction.close()
        self.cursor.close()

    def interrupt(self) -> None:
        """Interrupts the running statement; called from another thread."""
        self.cancelled.set()
        with suppress(duckdb.Error):  # it may have ended by now
            self.cursor.interrupt()

    def reset(self) -> None:
        """sp_reset_connection: undoes what the last user of a pooled connection left behind."""
        if self.transaction.count:
            list(self.end("rollback"))
        self.transaction.isolation, self.transaction.implicit, self.lock_timeout_ms = "READ COMMITTED", False, -1
        self.prepared.clear()

    def begin(self) -> Iterator[TransactionChanged]:
        """BEGIN TRANSACTION."""
        return self.transaction.begin()

    def end(self, what: str) -> Iterator[TransactionChanged]:
        """COMMIT (`commit`) of one level, or ROLLBACK (`rollback`) of all."""
        return self.transaction.end(what)

    def run(self, sql: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        """Runs a batch, one statement after the other, as the outcomes are asked for.

        Raises SqlError; the outcomes before it stand.
        """
        for statement in split(sql):
            fault = self.store.faults.statement(statement.text if isinstance(statement, SessionStatement) else statement)
            if fault is not None and fault.run:
                self._run_beside(fault.run)
            if fault is not None and isinstance(statement, str):
                statement = fault.understood(statement)
            outcomes = self._own(statement) if isinstance(statement, SessionStatement) else self._parsed(statement, parameters)
            self._update_client()
            if fault is None or fault.harmless:
                yield from outcomes
                continue
            if not fault.after_rows:
                fault.strike()
            for outcome in outcomes:
                yield Rows(outcome.columns, fault.after(outcome.batches)) if isinstance(outcome, Rows) else outcome

    def _run_beside(self, sql: str) -> None:
        """Runs it in a session of its own that sys.dm_exec_sessions does not show."""
        other = Session(self.store, replace(self.client, spid=0))
        for _ in other.run(sql, {}):
            pass
        other.close()

    def _update_client(self) -> None:
        """Updates what sys.dm_exec_sessions shows."""
        self.client.isolation = ISOLATION_LEVELS[self.transaction.isolation]
        self.client.transactions = self.transaction.count

    def _own(self, statement: SessionStatement) -> Iterator[Outcome]:
        """A statement about the session itself."""
        what, value, transaction = statement.what, statement.value, self.transaction
        if what == "isolation":
            transaction.isolation = value
        elif what == "implicit":
            transaction.implicit = value == "ON"
        elif what == "lock_timeout":
            self.lock_timeout_ms = int(value)
        elif what == "use":
            if value.lower() not in (self.store.database.lower(), "master"):
                raise SqlError(911, f"Database '{value}' does not exist. Make sure that the name is entered correctly.")
            yield DatabaseChanged(value)
        elif what == "kill":
            self.store.sessions.kill(int(value), self.client.spid)
        elif what == "begin":
            yield from self.begin()
        elif what in ("commit", "rollback"):
            yield from self.end(what)
        elif what in ("commit_if", "rollback_if") and transaction.count:
            yield from self.end(what.removesuffix("_if"))
        yield Affected()

    def _parsed(self, text: str, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        found = command(text, self._compiler(parameters))
        if found is not None:
            yield from self._change(found, self._compiler(parameters), "")
            return
        try:
            nodes = sqlglot.parse(for_parser(text), read="tsql")
        except sqlglot.errors.ParseError as error:
            near = error.errors[0].get("highlight", "") if error.errors else text[:30]
            raise bad_syntax(str(near)) from None
        for node in nodes:
            if node is not None:
                yield from self._statement(node, parameters)

    def _compiler(self, parameters: dict[str, Parameter]) -> Compiler:
        client = self.client
        facts = SessionFacts(
            spid=client.spid,
            trancount=self.transaction.count,
            rowcount=self.rowcount,
            lock_timeout=self.lock_timeout_ms,
            login=client.login,
            auth_scheme=client.auth_scheme,
            app=client.app,
            host=client.host,
            database=self.store.database,
            server=self.store,
        )
        return Compiler(self.store.catalog, parameters, facts)

    def _statement(self, node: Any, parameters: dict[str, Parameter]) -> Iterator[Outcome]:
        compiler = self._compiler(parameters)
        if isinstance(node, exp.Query):
            query = compiler.query(node)  # type: ignore[arg-type]
            if self.transaction.implicit and node.find(exp.Table):
                yield from self.transaction.begin_implicitly()
            self.transaction.check_snapshot(compiler.reads)
            if compiler.reads_sizes:
                self.store.count_sizes()
            rows = self._rows(query, compiler)
            if self.store.looked_at is not None and compiler.reads:
                skipped = skipped_in_order(node, self.store.catalog)
                rows = replace(rows, batches=self.store.looked_at.counted(rows.batches, self.transaction.cursor, skipped))
            yield rows
            return
        change = definition(node, compiler) or row_change(node, compiler)
        self.transaction.check_snapshot(compiler.reads)
        yield from self._change(change, compiler, type(node).__name__.upper())

    def _rows(self, query: Query, compiler: Compiler) -> Rows:
        """The query's rows, fetched as they are asked for; what the catalog alone tells may be known already."""
        answers, question = self.store.answers, (query.sql, tuple(compiler.binds))
        with self.transaction.translating():
            moment = self.transaction.moment(bool(compiler.reads) or " mssys." in query.sql)
            lasting = moment is not None and not compiler.reads and "uuid()" not in query.sql
            known = answers.find(question, moment) if lasting else None
            if known is not None:
                return known
            rows = open_rows(query, compiler.binds, self.transaction, self.cancelled)
        return answers.keeping(question, rows, moment) if lasting else rows

    def _change(self, change: Change, compiler: Compiler, word: str) -> Iterator[Outcome]:
        yield from self.transaction.begin_implicitly()
        with self.transaction.translating():
            count = run_change(change, compiler, self.transaction, self.lock_timeout_ms, self.cancelled)
        yield Affected(None if change.defines else count, word)
