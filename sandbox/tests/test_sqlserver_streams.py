"""Long values, cancelled statements, batches of rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import mssql_python
import pytest
from sqlserver_kit import Counterpart, connect, one

OPTIONS = ("--scale", "0.2")
SIZE, COUNT = 8 << 20, 24
ENDLESS = (
    "SELECT COUNT_BIG(*) FROM Sales.SalesOrderDetail AS a CROSS JOIN Sales.SalesOrderDetail AS b "
    "CROSS JOIN Sales.SalesOrderDetail AS d WHERE a.UnitPrice + b.UnitPrice > d.UnitPrice"
)


def resident(server: Counterpart) -> int:
    """Bytes of the server's memory that is its own, without pages of its file."""
    status = Path(f"/proc/{server.facts['pid']}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


def test_rows_of_8_mb_stream(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Long (id int PRIMARY KEY, data varbinary(max), text nvarchar(max))")
    cursor.execute(
        "INSERT INTO dbo.Long VALUES (0, CONVERT(varbinary(max), '0x' + REPLICATE(CAST('00ff' AS varchar(max)), ?), 1), NULL)",
        SIZE // 2,
    )
    for number in range(1, COUNT):
        cursor.execute(f"INSERT INTO dbo.Long SELECT {number}, data, REPLICATE(N'ã', {number}) FROM dbo.Long WHERE id = 0")
    started = resident(server)
    cursor.execute("SELECT data, text, id FROM dbo.Long ORDER BY id DESC")
    most, got = 0, []
    while (batch := cursor.arrow_batch(2)).num_rows:
        most = max(most, resident(server) - started)
        got += batch.column(2).to_pylist()
        assert all(len(value.as_py()) == SIZE for value in batch.column(0))
        assert batch.column(1).to_pylist() == ["ã" * n or None for n in batch.column(2).to_pylist()]
    assert got == list(reversed(range(COUNT)))
    # DuckDB keeps what it has read of the file, and a row is in a few hands on its way
    assert most < 3 * COUNT * SIZE
    assert one(cursor, "SELECT MAX(DATALENGTH(data)) FROM dbo.Long") == SIZE


def test_a_timeout_ends_the_statement_at_once(server: Counterpart) -> None:
    connection = connect(server)
    connection.timeout = 1
    started = time.monotonic()
    with pytest.raises(mssql_python.Error, match="timeout expired"):
        connection.cursor().execute(ENDLESS)
    assert time.monotonic() - started < 10
    assert one(connection.cursor(), "SELECT 7") == 7
    connection.close()


def test_a_client_that_leaves_does_not_leave_its_statement_running(server: Counterpart, cursor: Any) -> None:
    connection = connect(server)
    spid = one(connection.cursor(), "SELECT @@SPID")
    reader = connection.cursor()
    reader.execute("SELECT d.* FROM Sales.SalesOrderDetail AS d CROSS JOIN Sales.SalesOrderHeader AS h")
    reader.fetchmany(10)
    connection.close()
    deadline = time.monotonic() + 20
    while one(cursor, f"SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = {spid}") and time.monotonic() < deadline:
        pass
    assert one(cursor, f"SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE session_id = {spid}") == 0


@pytest.mark.parametrize("size", [1, 1_000, 1_024, 100_000])
def test_arrow_batches_of_any_size_hold_all_rows(cursor: Any, size: int) -> None:
    top = 500 if size == 1 else 20_000
    cursor.execute(f"SELECT TOP ({top}) SalesOrderDetailID FROM Sales.SalesOrderDetail ORDER BY SalesOrderDetailID")
    got: list[int] = []
    while (batch := cursor.arrow_batch(size)).num_rows:
        got += batch.column(0).to_pylist()
    assert got == list(range(1, top + 1))


def test_an_error_amid_rows_is_told(cursor: Any) -> None:
    with pytest.raises(mssql_python.Error, match="Divide by zero"):
        cursor.execute("SELECT 100 / (SalesOrderDetailID - 20000) FROM Sales.SalesOrderDetail").fetchall()
    assert one(cursor, "SELECT 1") == 1


def test_a_time_limit_for_locks_is_kept(cursor: Any) -> None:
    cursor.execute("SET LOCK_TIMEOUT 5000")
    assert one(cursor, "SELECT @@LOCK_TIMEOUT") == 5_000
