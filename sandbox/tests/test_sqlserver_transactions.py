"""Isolation, conflicts, rowversions: what sessions see of each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import mssql_python
import pytest
from sqlserver_kit import Counterpart, connect, failure, one, rows


@pytest.fixture
def snapshot(server: Counterpart) -> Iterator[Any]:
    connection = connect(server)
    found = connection.cursor()
    found.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    yield found
    connection.close()


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def test_a_snapshot_begins_with_the_first_read(cursor: Any, snapshot: Any) -> None:
    cursor.execute("CREATE TABLE dbo.First (id int PRIMARY KEY)")
    snapshot.execute("BEGIN TRAN")
    cursor.execute("INSERT INTO dbo.First VALUES (1)")
    assert one(snapshot, "SELECT COUNT(*) FROM dbo.First") == 1
    cursor.execute("INSERT INTO dbo.First VALUES (2)")
    assert one(snapshot, "SELECT COUNT(*) FROM dbo.First") == 1
    snapshot.execute("COMMIT")
    assert one(snapshot, "SELECT COUNT(*) FROM dbo.First") == 2


def test_a_question_of_the_catalog_begins_a_snapshot_and_is_answered_from_it(cursor: Any, snapshot: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Asked (id int PRIMARY KEY)")
    question, count = (
        "SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Asked')",
        "SELECT COUNT(*) FROM dbo.Asked",
    )
    for columns, first in enumerate((question, "SELECT OBJECT_ID('dbo.Asked')", count), start=1):
        assert one(cursor, question) == columns, "known from now on"
        snapshot.execute("BEGIN TRAN")
        one(snapshot, first)
        cursor.execute(f"ALTER TABLE dbo.Asked ADD c{columns} int NULL")
        assert one(snapshot, question) == columns
        assert one(cursor, question) == columns + 1
        assert one(snapshot, question) == columns
        snapshot.execute("ROLLBACK")
    snapshot.execute("BEGIN TRAN")
    assert (one(snapshot, "SELECT 1"), one(snapshot, question)) == (1, columns + 1)
    cursor.execute("INSERT INTO dbo.Asked (id) VALUES (1)")
    assert one(snapshot, count) == 0
    snapshot.execute("ROLLBACK")


def test_read_committed_sees_what_is_committed_between_two_statements(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Committed (id int PRIMARY KEY)")
    reader = connect(server).cursor()
    reader.execute("BEGIN TRAN")
    counts = []
    for value in (1, 2):
        cursor.execute(f"INSERT INTO dbo.Committed VALUES ({value})")
        counts.append(one(reader, "SELECT COUNT(*) FROM dbo.Committed"))
    assert counts == [1, 2]


def test_snapshots_must_be_allowed(cursor: Any, snapshot: Any) -> None:
    state = "SELECT snapshot_isolation_state, is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()"
    assert rows(cursor, state) == [(1, False)]
    cursor.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    cursor.execute("ALTER DATABASE AdventureWorks SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE")
    assert rows(cursor, state) == [(0, True)]
    assert "snapshot isolation is not allowed in this database" in failure(snapshot, "SELECT COUNT(*) FROM Sales.Customer")
    cursor.execute("ALTER DATABASE AdventureWorks SET ALLOW_SNAPSHOT_ISOLATION ON")
    cursor.execute("ALTER DATABASE AdventureWorks SET READ_COMMITTED_SNAPSHOT OFF")
    assert one(snapshot, "SELECT COUNT(*) FROM Sales.Customer") > 0


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE dbo.Altered{n} ADD extra int NULL", "TRUNCATE TABLE dbo.Altered{n}", "CREATE INDEX ix ON dbo.Altered{n} (v)"],
)
def test_a_table_changed_by_ddl_ends_the_snapshot(cursor: Any, snapshot: Any, change: str) -> None:
    n = crc32(change.encode())
    cursor.execute(f"CREATE TABLE dbo.Altered{n} (id int PRIMARY KEY, v int)")
    snapshot.execute("BEGIN TRAN")
    assert one(snapshot, "SELECT COUNT(*) FROM Sales.Customer") > 0
    cursor.execute(change.format(n=n))
    assert "modified by a DDL statement" in failure(snapshot, f"SELECT COUNT(*) FROM dbo.Altered{n}")
    assert one(snapshot, "SELECT @@TRANCOUNT") == 0


def test_an_update_conflict_ends_the_snapshot(cursor: Any, snapshot: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Conflict (id int PRIMARY KEY, v int)")
    cursor.execute("INSERT INTO dbo.Conflict VALUES (1, 0)")
    snapshot.execute("BEGIN TRAN")
    assert one(snapshot, "SELECT v FROM dbo.Conflict") == 0
    cursor.execute("UPDATE dbo.Conflict SET v = 1")
    assert "update conflict" in failure(snapshot, "UPDATE dbo.Conflict SET v = 2")


def test_a_change_waits_for_the_one_before_it(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Waiting (id int PRIMARY KEY, v int)")
    cursor.execute("INSERT INTO dbo.Waiting VALUES (1, 0)")
    holder = connect(server).cursor()
    holder.execute("BEGIN TRAN UPDATE dbo.Waiting SET v = v + 1")
    cursor.execute("SET LOCK_TIMEOUT 10")
    assert "Lock request time out" in failure(cursor, "UPDATE dbo.Waiting SET v = v + 10")
    cursor.execute("SET LOCK_TIMEOUT -1")
    waiting = threading.Thread(target=lambda: cursor.execute("UPDATE dbo.Waiting SET v = v + 10"))
    waiting.start()
    holder.execute("COMMIT")
    waiting.join(20)
    assert one(holder, "SELECT v FROM dbo.Waiting") == 11


def test_eight_sessions_read_and_write_at_once(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Busy (id int PRIMARY KEY, v int NOT NULL)")
    cursor.execute("CREATE TABLE dbo.Counted (id int IDENTITY(1, 1) PRIMARY KEY, v int)")
    cursor.execute("CREATE TABLE dbo.Claimed (id int PRIMARY KEY)")
    refused: list[str] = []
    problems: list[BaseException] = []

    def work(place: int) -> None:
        try:
            own = connect(server).cursor()
            for step in range(20):
                own.execute("INSERT INTO dbo.Counted (v) VALUES (1), (2)")
                try:
                    own.execute(f"INSERT INTO dbo.Claimed VALUES ({step})")
                except mssql_python.IntegrityError as error:
                    refused.append(str(error))
                own.execute(f"INSERT INTO dbo.Busy VALUES ({place * 100 + step}, 0)")
                own.execute(f"UPDATE dbo.Busy SET v = v + 1 WHERE id = {place * 100 + step}")
                assert (
                    one(own, f"SELECT COUNT(*) FROM dbo.Busy WHERE id >= {place * 100} AND id < {place * 100 + 100}") == step + 1
                )
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    assert rows(cursor, "SELECT COUNT(*), MIN(id), MAX(id), COUNT(DISTINCT id) FROM dbo.Counted") == [(320, 1, 320, 320)]
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Claimed") == 20
    assert len(refused) == 7 * 20
    assert rows(cursor, "SELECT COUNT(*), SUM(v) FROM dbo.Busy") == [(160, 160)]


def test_rowversions_come_from_one_counter_and_change_with_the_row(cursor: Any) -> None:
    for name in ("A", "B"):
        cursor.execute(f"CREATE TABLE dbo.Version{name} (id int PRIMARY KEY, v rowversion)")
    before = number(one(cursor, "SELECT @@DBTS"))
    cursor.execute("INSERT INTO dbo.VersionA (id) VALUES (1), (2)")
    cursor.execute("INSERT INTO dbo.VersionB (id) VALUES (1)")
    cursor.execute("CREATE TABLE dbo.VersionC (id int PRIMARY KEY, x int, v timestamp)")
    cursor.execute("INSERT INTO dbo.VersionC (id, x) VALUES (1, 1)")
    cursor.execute("UPDATE dbo.VersionC SET x = 2")
    given = [number(v) for (v,) in rows(cursor, "SELECT v FROM dbo.VersionA UNION ALL SELECT v FROM dbo.VersionB ORDER BY 1")]
    assert given == [before + 1, before + 2, before + 3]
    assert number(one(cursor, "SELECT v FROM dbo.VersionC")) == before + 5 == number(one(cursor, "SELECT @@DBTS"))
    assert one(cursor, f"SELECT COUNT(*) FROM dbo.VersionA WHERE v > CONVERT(binary(8), '0x{before + 1:016X}', 1)") == 1


def test_an_open_transaction_holds_the_lowest_active_rowversion(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Held (id int PRIMARY KEY, v rowversion)")
    lowest = "SELECT MIN_ACTIVE_ROWVERSION()"
    start = number(one(cursor, lowest))
    assert start == number(one(cursor, "SELECT @@DBTS")) + 1
    holder = connect(server).cursor()
    holder.execute("BEGIN TRAN")
    assert number(one(cursor, lowest)) == start
    holder.execute("INSERT INTO dbo.Held (id) VALUES (1)")
    cursor.execute("INSERT INTO dbo.Held (id) VALUES (2), (3)")
    assert number(one(cursor, lowest)) == start
    assert [number(v) for (v,) in rows(cursor, "SELECT v FROM dbo.Held ORDER BY v")] == [start + 1, start + 2]
    holder.execute("COMMIT")
    assert number(one(cursor, lowest)) == start + 3
