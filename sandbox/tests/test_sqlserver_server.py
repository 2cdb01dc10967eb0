"""What the server tells of itself, its database and its sessions."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlserver_kit import Counterpart, connect, failure, one, rows

AHEAD = 90
OPTIONS = ("--only-parquet", "--clock-offset", str(AHEAD))


def test_the_clock_may_be_ahead(cursor: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    moment = one(cursor, "SELECT SYSUTCDATETIME()").replace(tzinfo=dt.UTC)
    assert AHEAD - 1 < (moment - now).total_seconds() < AHEAD + 30
    assert abs(one(cursor, "SELECT SYSDATETIMEOFFSET()") - moment) < dt.timedelta(seconds=30)
    cursor.execute("BEGIN TRAN SELECT COUNT(*) FROM sys.tables")
    first, second = (one(cursor, "SELECT SYSUTCDATETIME()") for _ in range(2))
    cursor.execute("COMMIT")
    assert first < second


def test_server_and_database_properties(cursor: Any) -> None:
    names = ["'ProductVersion'", "'Edition'", "'EngineEdition'", "'Collation'", "'MachineName'", "'Nonsense'"]
    found = [one(cursor, f"SELECT SERVERPROPERTY({name})") for name in names]
    assert found == ["16.0.4000.1", "Developer Edition (64-bit)", 3, "SQL_Latin1_General_CP1_CI_AS", "SANDBOX", None]
    assert "Microsoft SQL Server" in one(cursor, "SELECT @@VERSION")
    assert rows(cursor, "SELECT ORIGINAL_LOGIN(), SUSER_SNAME(), DB_NAME()") == [("reader", "reader", "AdventureWorks")]
    updateability = "SELECT DATABASEPROPERTYEX(DB_NAME(), 'Updateability')"
    assert one(cursor, updateability) == "READ_WRITE"
    cursor.execute("CREATE TABLE dbo.Written (id int)")
    cursor.execute("ALTER DATABASE CURRENT SET READ_ONLY")
    assert one(cursor, updateability) == "READ_ONLY"
    assert "database is read-only" in failure(cursor, "INSERT INTO dbo.Written VALUES (1)")
    cursor.execute("ALTER DATABASE CURRENT SET READ_WRITE")
    cursor.execute("INSERT INTO dbo.Written VALUES (1)")


def test_sessions_show_what_their_clients_said(server: Counterpart) -> None:
    connection = connect(server, ApplicationIntent="ReadOnly")
    cursor = connection.cursor()
    found = rows(
        cursor,
        "SELECT s.login_name, s.sandbox_application_intent, c.encrypt_option, c.auth_scheme, c.protocol_type "
        "FROM sys.dm_exec_sessions AS s JOIN sys.dm_exec_connections AS c ON c.session_id = s.session_id "
        "WHERE s.session_id = @@SPID",
    )
    assert found == [("reader", "ReadOnly", "TRUE", "SQL", "TSQL")]
    cursor.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    cursor.execute("BEGIN TRAN")
    state = "SELECT transaction_isolation_level, open_transaction_count FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    assert rows(cursor, state) == [(5, 1)]
    cursor.execute("COMMIT")
    assert one(cursor, "SELECT program_name FROM sys.dm_exec_sessions WHERE session_id = @@SPID") == one(
        cursor, "SELECT APP_NAME()"
    )


def test_a_variant_keeps_its_base_type(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Variants (id int, v sql_variant)")
    cursor.execute(
        "INSERT INTO dbo.Variants VALUES (1, CAST(0.1 AS float)), (2, 7), (3, CAST('2020-01-02T03:04:05.123' AS datetime)), "
        "(4, N'é'), (5, NULL), (6, CAST(1.25 AS money)), (7, 0x01ff)"
    )
    kind = "CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(v, 'BaseType'))"
    sql = f"SELECT {kind}, CASE {kind} WHEN N'float' THEN CONVERT(nvarchar(4000), CONVERT(float, v), 3) "
    sql += "WHEN N'datetime' THEN CONVERT(nvarchar(4000), CONVERT(datetime, v), 126) "
    sql += "WHEN N'varbinary' THEN CONVERT(nvarchar(4000), CONVERT(varbinary(8000), v), 1) "
    sql += "ELSE CONVERT(nvarchar(4000), v) END FROM dbo.Variants ORDER BY id"
    assert rows(cursor, sql) == [
        ("float", "1.0000000000000001e-001"), ("int", "7"), ("datetime", "2020-01-02T03:04:05.123"), ("nvarchar", "é"),
        (None, None), ("money", "1.2500"), ("varbinary", "0x01FF"),
    ]  # fmt: skip
    assert len(rows(cursor, "SELECT CONVERT(nvarchar(max), v) FROM dbo.Variants ORDER BY id")) == 7
    assert "sql_variant value in a result" in failure(cursor, "SELECT v FROM dbo.Variants")


def test_text_and_bytes_turn_into_each_other(cursor: Any) -> None:
    sql = "SELECT CONVERT(varbinary(20), N'aé😀'), CONVERT(varbinary(20), CAST('a€é' AS varchar(5))), "
    sql += "CONVERT(binary(4), '0x01ff', 1), CONVERT(binary(2), '01ff', 2), CONVERT(varchar(20), 0x01ff, 1), NCHAR(233), CHAR(65)"
    assert rows(cursor, sql) == [("aé😀".encode("utf-16-le"), b"a\x80\xe9", b"\x01\xff\0\0", b"\x01\xff", "0x01FF", "é", "A")]
    assert "Error converting data type varchar to varbinary" in failure(cursor, "SELECT CONVERT(binary(4), 'zz', 1)")
    assert one(cursor, "SELECT CAST(N'😀' AS nchar(4))") == "😀  "
    assert one(cursor, "SELECT N'two\\\nlines'") == "twolines"
