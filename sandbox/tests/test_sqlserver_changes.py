"""Change tracking: what this server says of changes is what Microsoft's documentation says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mssql_python
import pytest
from sqlserver_kit import Counterpart, connect, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with running(tmp_path_factory.mktemp("changes"), "--scale", "0.001") as started:
        execute(started, "ALTER DATABASE AdventureWorks SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        yield started


def execute(server: Counterpart, *statements: str) -> None:
    connection = connect(server)
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


def tracked(
    server: Counterpart, name: str, *more: str, columns: str = "Id int NOT NULL PRIMARY KEY, V nvarchar(20) NULL"
) -> None:
    execute(server, f"CREATE TABLE dbo.{name} ({columns})", f"ALTER TABLE dbo.{name} ENABLE CHANGE_TRACKING", *more)


def rows(server: Counterpart, sql: str) -> list[tuple[Any, ...]]:
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute(sql)
    found = [tuple(row) for row in cursor.fetchall()]
    connection.close()
    return found


def version(server: Counterpart) -> int:
    return int(rows(server, "SELECT CHANGE_TRACKING_CURRENT_VERSION()")[0][0])


def least(server: Counterpart, name: str) -> int | None:
    found: int | None = rows(server, f"SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.{name}'))")[0][0]
    return found


def changes(server: Counterpart, name: str, since: int) -> dict[Any, str]:
    sql = f"SELECT CT.Id, CT.SYS_CHANGE_OPERATION FROM CHANGETABLE(CHANGES dbo.{name}, {since}) AS CT ORDER BY CT.Id"
    found: Any = rows(server, sql)
    return dict(found)


def test_a_version_is_a_commit_and_changes_are_net(server: Counterpart) -> None:
    tracked(server, "Net")
    begin = version(server)
    execute(server, "INSERT INTO dbo.Net VALUES (1, N'a'), (2, N'b'), (3, N'c'), (4, N'd')")
    assert version(server) == begin + 1
    execute(
        server,
        "UPDATE dbo.Net SET V = N'A' WHERE Id = 1",
        "UPDATE dbo.Net SET V = V WHERE Id = 2",
        "UPDATE dbo.Net SET Id = 30 WHERE Id = 3",
        "DELETE FROM dbo.Net WHERE Id = 4",
        "INSERT INTO dbo.Net VALUES (5, N'e')",
        "DELETE FROM dbo.Net WHERE Id = 5",
        "UPDATE dbo.Net SET V = N'z' WHERE Id = 77",
    )
    assert version(server) == begin + 7, "a statement that changes no row is no change"
    assert changes(server, "Net", begin) == {1: "I", 2: "I", 3: "D", 4: "D", 5: "D", 30: "I"}
    assert changes(server, "Net", begin + 1) == {1: "U", 2: "U", 3: "D", 4: "D", 5: "D", 30: "I"}
    assert changes(server, "Net", version(server)) == {}
    sql = f"SELECT SYS_CHANGE_VERSION, SYS_CHANGE_CREATION_VERSION FROM CHANGETABLE(CHANGES dbo.Net, {begin}) ct WHERE ct.Id = 1"
    assert rows(server, sql) == [(begin + 2, begin + 1)]
    assert rows(server, "SELECT x.SYS_CHANGE_VERSION FROM CHANGETABLE(VERSION dbo.Net, (Id), (1)) AS x") == [(begin + 2,)]


def test_a_transaction_is_one_version_and_a_rolled_back_one_none(server: Counterpart) -> None:
    tracked(server, "Trans")
    begin = version(server)
    one = connect(server)
    one.cursor().execute("BEGIN TRANSACTION; INSERT INTO dbo.Trans VALUES (1, N'a'); INSERT INTO dbo.Trans VALUES (2, N'b')")
    assert (version(server), changes(server, "Trans", begin)) == (begin, {}), "what is not committed is not seen"
    execute(server, "CREATE TABLE dbo.Untracked (Id int)", "INSERT INTO dbo.Untracked VALUES (1)")
    assert version(server) == begin
    one.cursor().execute("COMMIT")
    assert (version(server), changes(server, "Trans", begin)) == (begin + 1, {1: "I", 2: "I"})
    one.cursor().execute("BEGIN TRANSACTION; DELETE FROM dbo.Trans; ROLLBACK")
    one.close()
    assert (version(server), changes(server, "Trans", begin + 1)) == (begin + 1, {})


def test_a_snapshot_has_the_version_that_it_began_with(server: Counterpart) -> None:
    tracked(server, "Snap", "INSERT INTO dbo.Snap VALUES (1, N'a')")
    reader = connect(server)
    cursor = reader.cursor()
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    cursor.execute("BEGIN TRANSACTION")
    cursor.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    before = cursor.fetchone()[0]
    execute(server, "INSERT INTO dbo.Snap VALUES (2, N'b')")
    cursor.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION(), (SELECT COUNT(*) FROM dbo.Snap)")
    assert tuple(cursor.fetchone()) == (before, 1)
    cursor.execute("COMMIT")
    cursor.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    assert cursor.fetchone()[0] == before + 1
    reader.close()


def test_truncation_and_retention_move_the_least_version_that_is_valid(server: Counterpart) -> None:
    tracked(server, "Valid", "INSERT INTO dbo.Valid VALUES (1, N'a')")
    begin = version(server)
    assert least(server, "Valid") is not None and least(server, "Valid") <= begin
    execute(server, "TRUNCATE TABLE dbo.Valid")
    assert (least(server, "Valid"), version(server), changes(server, "Valid", begin)) == (begin + 1, begin + 1, {})
    begun = "SELECT begin_version FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'dbo.Valid')"
    assert rows(server, begun) == [(begin + 1,)], "truncation resets it"
    execute(
        server,
        "INSERT INTO dbo.Valid VALUES (2, N'b')",
        "EXEC sp_sandbox_age_changes 3",
        "INSERT INTO dbo.Valid VALUES (3, N'c')",
    )
    execute(server, "EXEC sys.sp_flush_CT_internal_table_on_demand 'dbo.Valid'")
    assert least(server, "Valid") == begin + 2 and changes(server, "Valid", begin + 2) == {3: "I"}
    execute(server, "ALTER TABLE dbo.Valid DISABLE CHANGE_TRACKING")
    assert least(server, "Valid") is None
    execute(server, "ALTER TABLE dbo.Valid ENABLE CHANGE_TRACKING")
    assert least(server, "Valid") == version(server)
    assert rows(server, "SELECT retention_period, retention_period_units_desc FROM sys.change_tracking_databases") == [
        (2, "DAYS")
    ]
    listed = "SELECT OBJECT_NAME(object_id), min_valid_version FROM sys.change_tracking_tables"
    assert ("Valid", version(server)) in rows(server, listed)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("ALTER TABLE dbo.Heap ENABLE CHANGE_TRACKING", "requires a primary key"),
        ("ALTER TABLE dbo.Refuses ENABLE CHANGE_TRACKING", "already enabled for table"),
        ("ALTER TABLE dbo.Heap DISABLE CHANGE_TRACKING", "is not enabled on table"),
        ("SELECT * FROM CHANGETABLE(CHANGES dbo.Heap, 0) AS CT", "Change tracking is not enabled on table 'dbo.Heap'"),
        ("ALTER DATABASE AdventureWorks SET CHANGE_TRACKING = OFF", "enabled for one or more tables"),
        ("ALTER DATABASE AdventureWorks SET CHANGE_TRACKING = ON", "already enabled for database"),
    ],
)
def test_what_the_server_refuses(statement: str, error: str, server: Counterpart) -> None:
    if not rows(server, "SELECT 1 FROM sys.tables WHERE name = 'Heap'"):
        tracked(server, "Refuses", "CREATE TABLE dbo.Heap (Id int)")
    with pytest.raises(mssql_python.Error, match=error):
        rows(server, statement)


def test_changes_are_for_those_who_may_view_them(server: Counterpart) -> None:
    tracked(server, "Secret", "INSERT INTO dbo.Secret VALUES (1, N'a')", "DENY VIEW CHANGE TRACKING ON dbo.Secret TO reader")
    with pytest.raises(mssql_python.Error, match="The VIEW CHANGE TRACKING permission was denied on the object 'Secret'"):
        changes(server, "Secret", 0)
    assert least(server, "Secret") is None
    asked = "SELECT HAS_PERMS_BY_NAME(N'dbo.Secret', 'OBJECT', 'VIEW CHANGE TRACKING'), COUNT(*) FROM dbo.Secret"
    assert rows(server, asked) == [(0, 1)]
