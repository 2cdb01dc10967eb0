"""Runs a change in a session's transaction, or in one of its own."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, nullcontext

import duckdb
import pyarrow as pa

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.unique_keys import duplicate_queries
from sandbox.sqlserver.engine.results import used_binds
from sandbox.sqlserver.engine.transaction import SessionTransaction
from sandbox.sqlserver.errors import SqlError, known
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import TableSpec


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
    transaction.begin_to_change(change.defines)
    try:
        with ExitStack() as held:
            if change.defines:
                held.enter_context(store.defining)
            if versions:
                held.enter_context(store.rowversions.giving(transaction.spid))
            count = _execute(change, statement, transaction)
            if own:
                transaction.commit_in_store()
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
        if number == 0 and change.op and change.spec is not None and change.spec.tracked:
            count = _tracked(change, change.spec, sql, statement, transaction)
            continue
        rows = cursor.execute(sql, used_binds(sql, statement.binds)).fetchall()
        if number == 0 and rows and not change.defines:
            count = int(rows[0][0])
    if change.truncates:
        [spec] = change.puts
        cursor.execute(f"DELETE FROM {spec.changes}")
        cursor.execute("UPDATE mssys.tracked SET truncated_by = ? WHERE object_id = ?", [transaction.changes(), spec.object_id])
    if change.checks:
        _check_keys(change, statement, cursor)
    if change.defines:
        catalog.save(cursor, change.puts, change.drops)
        if change.state is not None:
            change.state(cursor)
    return count


def _tracked(change: Change, spec: TableSpec, sql: str, statement: Statement, transaction: SessionTransaction) -> int:
    """Runs a change of rows whose keys are kept for change tracking; the number of rows.

    An update of a key is the deletion of one and the insertion of another.
    """
    cursor, keys = transaction.cursor, ", ".join(spec.column(name).stored for name in spec.key)

    def asked(query: str) -> pa.Table:
        return cursor.execute(query, used_binds(query, statement.binds)).fetch_record_batch().read_all()

    old = asked(change.old_keys) if change.old_keys else None
    new = asked(f"{sql} RETURNING {keys}")
    if not new.num_rows:
        return 0
    txn = transaction.changes()
    cursor.register("changed", new)
    if old is None:
        cursor.execute(f"INSERT INTO {spec.changes} SELECT {keys}, '{change.op}', {txn} FROM changed")
    else:
        cursor.register("former", old)
        for op, one, other in (("D", "former", "changed"), ("I", "changed", "former")):
            gone = f"SELECT {keys} FROM {one} EXCEPT SELECT {keys} FROM {other}"
            cursor.execute(f"INSERT INTO {spec.changes} SELECT {keys}, '{op}', {txn} FROM ({gone})")
        both = f"SELECT {keys} FROM former INTERSECT SELECT {keys} FROM changed"
        cursor.execute(f"INSERT INTO {spec.changes} SELECT {keys}, 'U', {txn} FROM ({both})")
        cursor.unregister("former")
    cursor.unregister("changed")
    return int(new.num_rows)


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
