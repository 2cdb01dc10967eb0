"""The SQL Server counterpart over its real protocol, with Microsoft's own client."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlserver_kit import Counterpart, connect, one, table

from sandbox.adventureworks.tables import tables
from sandbox.sqlserver.data import all_types
from sandbox.sqlserver.system.specs import parse_columns

SCALE = 0.05
OPTIONS = ("--scale", str(SCALE))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PWD": "wrong"}, "Login failed for user 'reader'"),
        ({"UID": "nobody"}, "Login failed for user 'nobody'"),
        ({"DATABASE": "Nope"}, 'Cannot open database "Nope" requested by the login'),
        ({"TrustServerCertificate": "no"}, "certificate verify failed"),
    ],
)
def test_login_is_refused(server: Counterpart, changes: dict[str, str], message: str) -> None:
    with pytest.raises(Exception, match=message):
        connect(server, **changes)


def test_the_certificate_is_trusted_by_its_file(server: Counterpart, tmp_path: Path) -> None:
    program = "import mssql_python as m, os; print(m.connect(os.environ['TO']).cursor().execute('SELECT 1').fetchone()[0])"
    to = f"SERVER=127.0.0.1,{server.facts['port']};DATABASE=AdventureWorks;UID=reader;PWD={server.secret};Encrypt=yes"
    environment = {**os.environ, "TO": to, "SSL_CERT_FILE": str(server.facts["ca_file"])}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).strip() == "1"
    assert (Path(server.facts["ca_file"]).with_name("key.pem").stat().st_mode & 0o777) == 0o600


def test_hashes_are_of_the_bytes_that_the_type_stores_and_offsets_become_utc(cursor: Any) -> None:
    texts = {"N'aé😀'": "aé😀".encode("utf-16-le"), "CAST('aé' AS varchar(9))": "aé".encode("cp1252"), "0x00FF": b"\x00\xff"}
    for text, value in texts.items():
        assert one(cursor, f"SELECT HASHBYTES('SHA2_256', {text})") == hashlib.sha256(value).digest(), text
    first = int.from_bytes(hashlib.sha256(b"\x00\xff").digest()[:6], "big")
    assert one(cursor, "SELECT CONVERT(bigint, CONVERT(binary(6), HASHBYTES('SHA2_256', 0x00FF)))") == first
    moved = "SWITCHOFFSET(CAST('2026-01-01T01:30:00.5+02:00' AS datetimeoffset(3)), '+00:00')"
    assert one(cursor, f"SELECT CONVERT(varchar(40), {moved}, 121)") == "2025-12-31 23:30:00.500 +00:00"
    assert one(cursor, f"SELECT DATEPART(hour, {moved})") == 23


def test_every_generated_row_reads_back_equal(server: Counterpart, cursor: Any) -> None:
    for name, expected in tables(SCALE).items():
        listed = ", ".join(
            f"[{c}].ToString() AS [{c}]" if c in ("OrganizationNode", "SpatialLocation") else f"[{c}]"
            for c in expected.column_names
        )
        if name in ("Production.TransactionNotes", "Production.EmptyShelf"):
            assert one(cursor, f"SELECT COUNT_BIG(*) FROM {name}") == expected.num_rows
            continue
        order = {"SalesOrderDetail": "2", "PurchaseOrderDetail": "2"}.get(name.partition(".")[2], "1")
        got = table(server, f"SELECT {listed} FROM {name} ORDER BY {order}")
        for column in expected.column_names:
            one_type = got[column].cast(expected[column].type)
            assert one_type.combine_chunks().equals(expected[column].combine_chunks()), f"{name}.{column}"


def test_every_type_reads_back_at_its_limits(cursor: Any) -> None:
    names = [column.name for column in parse_columns(all_types.COLUMNS) if column.type != "rowversion"]
    listed = []
    for name in names:
        style = ", 126" if "date" in name or "time" in name else ""
        as_text = style or name in ("c_uniqueidentifier", "c_sql_variant", "c_hierarchyid", "c_geography")
        listed.append(f"CONVERT(nvarchar(max), {name}{style})" if as_text else name)
    got = cursor.execute(f"SELECT {', '.join(listed)} FROM dbo.AllTypes ORDER BY id").fetchall()
    for row, expected in zip(got, sorted(all_types.rows(), key=lambda row: row[0]), strict=True):
        for name, value, wanted in zip(names, row, expected, strict=True):
            if wanted is not None and name in ("c_char_5", "c_nchar_5"):
                wanted = wanted.ljust(5)
            if wanted is not None and name == "c_binary_4":
                wanted = wanted.ljust(4, b"\0")
            if name in ("c_datetime", "c_smalldatetime"):
                wanted = wanted and wanted.removesuffix(".000")
            assert value == wanted, name


@pytest.mark.parametrize(
    "value",
    [
        2**40, -1.5, True, "é😀", "x" * 5_000, b"\0\1", Decimal("12345678901234567890123456789.123456789"), uuid.UUID(int=5),
        dt.date(1753, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.time(1, 2, 3, 4), None,
        dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
    ],
)  # fmt: skip
def test_a_parameter_comes_back(cursor: Any, value: Any) -> None:
    assert one(cursor, "SELECT ? AS v", value) == value


def test_a_comparison_sees_the_last_100_ns(cursor: Any) -> None:
    sql = "SELECT COUNT(*) FROM dbo.AllTypes WHERE c_datetime2_7 > CONVERT(datetime2(7), ?, 126)"
    assert one(cursor, sql, "2026-11-24T16:12:24.1234567") == 2
    assert one(cursor, sql, "2026-11-24T16:12:24.1234568") == 1
    assert one(cursor, "SELECT CONVERT(varchar(27), MAX(c_datetime2_7), 121) FROM dbo.AllTypes") == "9999-12-31 23:59:59.9999999"
    # a datetime of .003 is .0033333 beside a datetime2, as since SQL Server 2016
    assert one(cursor, "SELECT COUNT(*) FROM dbo.AllTypes WHERE c_datetime = CAST('1970-01-01T00:00:00.003' AS datetime2)") == 0
    assert one(cursor, "SELECT COUNT(*) FROM dbo.AllTypes WHERE c_datetime = CAST('1970-01-01T00:00:00.003' AS datetime)") == 1


def test_the_catalog_tells_tables_keys_and_types(cursor: Any) -> None:
    keys = cursor.execute("""
        WITH pk AS (
            SELECT ic.object_id, STRING_AGG(CAST(c.name AS nvarchar(max)), N',') WITHIN GROUP (ORDER BY ic.key_ordinal) AS names
            FROM sys.indexes AS i
            JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
            JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
            WHERE i.is_primary_key = 1 GROUP BY ic.object_id)
        SELECT SCHEMA_NAME(o.schema_id) + N'.' + o.name, RTRIM(o.type), pk.names, p.row_count
        FROM sys.objects AS o LEFT JOIN pk ON pk.object_id = o.object_id
        LEFT JOIN sys.dm_db_partition_stats AS p ON p.object_id = o.object_id AND p.index_id IN (0, 1)
        WHERE o.type IN ('U', 'V') ORDER BY 1""").fetchall()
    found = {row[0]: tuple(row)[1:] for row in keys}
    assert found["Sales.SalesOrderDetail"] == ("U", "SalesOrderID,SalesOrderDetailID", 6_066)
    assert found["Production.TransactionNotes"] == ("U", None, 600)
    assert found["Sales.vOrderTotals"] == ("V", None, None)
    rows = cursor.execute("""
        SELECT c.name, t.name, b.name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed
        FROM sys.columns AS c JOIN sys.types AS t ON t.user_type_id = c.user_type_id
        JOIN sys.types AS b ON b.user_type_id = c.system_type_id
        WHERE c.object_id = OBJECT_ID(N'[sales].[SALESORDERHEADER]', N'U') ORDER BY c.column_id""").fetchall()
    assert len(rows) == 26
    facts = {row[0]: tuple(row)[1:] for row in rows}
    assert facts["SalesOrderID"] == ("int", "int", 4, 10, 0, False, True, False)
    assert facts["OnlineOrderFlag"] == ("Flag", "bit", 1, 1, 0, False, False, False)
    assert facts["AccountNumber"] == ("AccountNumber", "nvarchar", 30, 0, 0, True, False, False)
    assert facts["TotalDue"] == ("money", "money", 8, 19, 4, False, False, True)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM nope.x", "Invalid object name 'nope.x'"),
        ("SELECT nope FROM Sales.Customer", "Invalid column name 'nope'"),
        ("SELECT CHECKSUM(1)", "sandbox: function CHECKSUM is not supported"),
        ("SELECT c_sql_variant FROM dbo.AllTypes", "sandbox: a sql_variant value in a result .* is not supported"),
        ("MERGE a USING b ON 1 = 1 WHEN MATCHED THEN DELETE", "sandbox: MERGE .* is not supported"),
        ("SELECT 1 / 0", "Divide by zero"),
        ("INSERT INTO HumanResources.Department (DepartmentID, Name, GroupName, ModifiedDate) VALUES (1, '', '', '2020-01-01')",
         "Violation of PRIMARY KEY constraint"),
        ("INSERT INTO HumanResources.Department (Name) VALUES (NULL)", "Cannot insert the value NULL"),
    ],
)  # fmt: skip
def test_an_error_names_its_cause_and_leaves_the_connection_usable(cursor: Any, sql: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        cursor.execute(sql)
    assert one(cursor, "SELECT 1") == 1


def test_a_snapshot_does_not_see_later_rows(server: Counterpart, cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Moving (id int IDENTITY(1,1) PRIMARY KEY, v decimal(9,2) NULL, version rowversion)")
    cursor.execute("INSERT INTO dbo.Moving (v) VALUES (1.5), (NULL)")
    reader = connect(server).cursor()
    count = "SELECT COUNT(*) FROM dbo.Moving"
    reader.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
    reader.execute("BEGIN TRAN")
    assert one(reader, count) == 2
    cursor.execute("INSERT INTO dbo.Moving (v) SELECT SalesYTD / 1000000 FROM Sales.SalesTerritory")
    assert cursor.rowcount == 10
    cursor.execute("UPDATE dbo.Moving SET v = 7 WHERE id = 1")
    assert (one(reader, count), one(cursor, count)) == (2, 12)
    reader.execute("COMMIT")
    assert one(reader, count) == 12
    reader.connection.setautocommit(False)
    reader.execute("DELETE FROM dbo.Moving WHERE id > ?", 2)
    assert (one(reader, count), one(cursor, count)) == (2, 12)
    reader.connection.rollback()
    assert one(reader, count) == 12
    reader.connection.close()
    assert one(cursor, "SELECT TOP (1) id FROM dbo.Moving ORDER BY version DESC") == 1
    cursor.execute("DROP TABLE dbo.Moving")


def test_computed_columns_follow_a_change(cursor: Any) -> None:
    cursor.execute(
        "INSERT INTO Purchasing.PurchaseOrderHeader (EmployeeID, VendorID, ShipMethodID, SubTotal) VALUES (1, 2, 3, 10.5)"
    )
    last = "(SELECT MAX(PurchaseOrderID) FROM Purchasing.PurchaseOrderHeader)"
    due = f"SELECT TotalDue FROM Purchasing.PurchaseOrderHeader WHERE PurchaseOrderID = {last}"
    assert one(cursor, due) == Decimal("10.5")
    cursor.execute(f"UPDATE Purchasing.PurchaseOrderHeader SET Freight = 2 WHERE PurchaseOrderID = {last}")
    assert one(cursor, due) == Decimal("12.5")
    cursor.execute(f"DELETE FROM Purchasing.PurchaseOrderHeader WHERE PurchaseOrderID = {last}")


def test_a_killed_session_ends_in_mid_stream(server: Counterpart, cursor: Any) -> None:
    victim = connect(server).cursor()
    spid = one(victim, "SELECT @@SPID")
    victim.execute("SELECT d.* FROM Sales.SalesOrderDetail AS d CROSS JOIN Sales.SalesOrderHeader AS h")
    assert len(victim.fetchmany(10)) == 10
    cursor.execute(f"KILL {spid}")
    with pytest.raises(Exception, match="Communication link failure"):
        while victim.fetchmany(100_000):
            pass
    with pytest.raises(Exception, match="not an active process ID"):
        cursor.execute(f"KILL {spid}")


def test_a_reader_may_stop_early(server: Counterpart) -> None:
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute("SELECT d.* FROM Sales.SalesOrderDetail AS d CROSS JOIN Sales.SalesOrderHeader AS h")
    assert len(cursor.fetchmany(10)) == 10
    cursor.close()
    assert one(connection.cursor(), "SELECT 5") == 5
    connection.close()
