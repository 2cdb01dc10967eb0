"""Runs a change in a session's transaction, or in one of its own."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, nullcontext

import duckdb

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.unique_keys import duplicate_queries
from sandbox.sqlserver.engine.results import used_binds
from sandbox.sqlserver.engine.transaction import SessionTransaction
from sandbox.sqlserver.errors import SqlError, known
from sandbox.sqlserver.sql.statement import Statement


def run_change(
    change: Change, statement: Statement, transaction: SessionTransaction, lock_timeout_ms: int, cancelled: threading.Event
) -> int | None:
    """Returns the number of rows changed, None where SQL Server reports none. Waits for conflicting transactions.

    Raises SqlError; 1222 after waiting for `lock_timeout_ms` (-1: for ever).
    """
    store = transaction.store
    deadline = time.monotonic() + lock_timeout_ms / 1_000 if lock_timeout_ms >= 0 else None
    while True:
        try:
            return _run_once(change, statement, transaction)
        except duckdb.TransactionException:
            if transaction.count or transaction.isolation == "SNAPSHOT":
                raise
            if deadline is not None and time.monotonic() >= deadline:
                raise known(1222, store.database) from None
            if cancelled.is_set():
                raise duckdb.InterruptException("cancelled") from None
            store.wait()


def _run_once(change: Change, statement: Statement, transaction: SessionTransaction) -> int | None:
    own = not transaction.count
    alone = own and change.checks and change.spec is not None
    with transaction.store.adding_keys(change.spec.object_id) if alone and change.spec is not None else nullcontext():
        return _in_transaction(change, statement, transaction, own)


def _in_transaction(change: Change, statement: Statement, transaction: SessionTransaction, own: bool) -> int | None:
    store = transaction.store
    versions = change.spec is not None and any(column.kind.name == "rowversion" for column in change.spec.columns)
    transaction.begin_in_store()
    try:
        with ExitStack() as held:
            if change.defines:
                held.enter_context(store.defining)
            if versions:
                held.enter_context(store.rowversions.giving(transaction.spid))
            count = _execute(change, statement, transaction)
            if own:
                transaction.cursor.execute("COMMIT")
            if change.defines:
                store.catalog.put(change.puts, change.drops)
                store.catalog.load_state(transaction.cursor)
                transaction.defined = not own
    except (duckdb.Error, SqlError):
        transaction.roll_back_in_store()
        raise
    if change.spec is not None:
        store.catalog.stale.add(change.spec.object_id)
    if own:
        transaction.in_store = False
        transaction.settle(False)
    return count


def _execute(change: Change, statement: Statement, transaction: SessionTransaction) -> int | None:
    cursor, catalog = transaction.cursor, transaction.store.catalog
    count = None
    for number, sql in enumerate(change.statements):
        rows = cursor.execute(sql, used_binds(sql, statement.binds)).fetchall()
        if number == 0 and rows and not change.defines:
            count = int(rows[0][0])
    if change.checks:
        _check_keys(change, statement, cursor)
    if change.defines:
        catalog.save(cursor, change.puts, change.drops)
        if change.state is not None:
            change.state(cursor)
    return count


def _check_keys(change: Change, statement: Statement, cursor: duckdb.DuckDBPyConnection) -> None:
    """Raises SqlError 2601 or 2627 for a key that is there twice, 1505 where a new unique index finds one."""
    if change.spec is None:
        return
    for sql, error in duplicate_queries(change.spec, statement):
        found = cursor.execute(sql).fetchone()
        if not found:
            continue
        value = ", ".join("<NULL>" if one is None else str(one) for one in found)
        if change.defines:
            text = "The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name"
            raise SqlError(1505, f"{text} '{change.spec.full_name}'. The duplicate key value is ({value}).")
        raise SqlError(error.number, f"{error} The duplicate key value is ({value}).", error.severity)
