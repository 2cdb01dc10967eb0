"""Definitions that change in mid-run, and the catalog that follows them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlserver_kit import connect, failure, one, rows, running

OPTIONS = ("--tables", "20")
NAMES = ["with space", "dot.ted", "br[ack]et", 'quo"te', "sl/ash", "emoji 😀", "ação"]


def quoted(name: str) -> str:
    return f"[{name.replace(']', ']]')}]"


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_possible(cursor: Any, name: str) -> None:
    table = f"dbo.{quoted(name)}"
    cursor.execute(f"CREATE TABLE {table} ({quoted(name)} int NOT NULL, CONSTRAINT k PRIMARY KEY CLUSTERED ({quoted(name)} ASC))")
    cursor.execute(f"INSERT INTO {table} VALUES (7)")
    cursor.execute(f"SELECT {quoted(name)} FROM {table} WHERE {quoted(name)} = 7")
    assert cursor.description[0][0] == name
    assert cursor.fetchone()[0] == 7
    literal = table.replace("'", "''")
    sql = f"SELECT c.name, OBJECT_NAME(c.object_id) FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(N'{literal}')"
    assert rows(cursor, sql) == [(name, name)]
    assert "Violation of PRIMARY KEY" in failure(cursor, f"INSERT INTO {table} VALUES (7)")
    cursor.execute(f"DROP TABLE {table}")


def test_twins_that_differ_in_case_need_a_case_sensitive_database(cursor: Any, tmp_path: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Twin (a int)")
    assert "already an object named 'TWIN'" in failure(cursor, "CREATE TABLE dbo.TWIN (a int)")
    assert "specified more than once" in failure(cursor, "CREATE TABLE dbo.Other (a int, A int)")
    with running(tmp_path, "--only-parquet", "--collation", "Latin1_General_CS_AS") as sensitive:
        own = connect(sensitive).cursor()
        own.execute("CREATE TABLE dbo.Twin (a int, A int)")
        own.execute("CREATE TABLE dbo.TWIN (a int)")
        own.execute("INSERT INTO dbo.Twin (a, A) VALUES (1, 2)")
        assert rows(own, "SELECT A, a FROM dbo.Twin") == [(2, 1)]
        assert one(own, "SELECT COUNT(*) FROM dbo.TWIN") == 0
        assert "Invalid object name 'dbo.twin'" in failure(own, "SELECT * FROM dbo.twin")
        assert "Invalid column name 'B'" in failure(own, "SELECT B FROM dbo.Twin")
        assert one(own, "SELECT DATABASEPROPERTYEX(DB_NAME(), 'Collation')") == "Latin1_General_CS_AS"


def test_columns_come_change_and_go(cursor: Any) -> None:
    modified = "SELECT CONVERT(varchar(30), modify_date, 121) FROM sys.objects WHERE object_id = OBJECT_ID('dbo.Changing')"
    cursor.execute("CREATE TABLE dbo.Changing (id int PRIMARY KEY, v varchar(5) NULL, n int NULL)")
    cursor.execute("INSERT INTO dbo.Changing VALUES (1, 'abcde', 2)")
    moments = [one(cursor, modified)]
    for change in (
        "ALTER TABLE dbo.Changing ADD extra nvarchar(10) NULL, fixed int NOT NULL DEFAULT 9",
        "ALTER TABLE dbo.Changing ALTER COLUMN v varchar(50) NULL",
        "ALTER TABLE dbo.Changing ALTER COLUMN n bigint NOT NULL",
        "ALTER TABLE dbo.Changing DROP COLUMN extra",
        "EXEC sp_rename N'dbo.Changing.v', N'w', 'COLUMN'",
    ):
        cursor.execute(change)
        moments.append(one(cursor, modified))
    assert moments == sorted(set(moments))
    assert rows(cursor, "SELECT * FROM dbo.Changing") == [(1, "abcde", 2, 9)]
    shape = "SELECT name, column_id, max_length, is_nullable FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Changing')"
    assert rows(cursor, shape) == [("id", 1, 4, False), ("w", 2, 50, True), ("n", 3, 8, False), ("fixed", 5, 4, False)]
    assert "Invalid column name 'v'" in failure(cursor, "SELECT v FROM dbo.Changing")
    assert "objects access this column" in failure(cursor, "ALTER TABLE dbo.Changing DROP COLUMN id")
    assert "would be truncated" in failure(cursor, "ALTER TABLE dbo.Changing ALTER COLUMN w varchar(2)")
    cursor.execute("EXEC sp_rename 'dbo.Changing', 'Changed'")
    assert "Invalid object name 'dbo.Changing'" in failure(cursor, "SELECT * FROM dbo.Changing")
    cursor.execute("TRUNCATE TABLE dbo.Changed")
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Changed") == 0
    cursor.execute("DROP TABLE dbo.Changed")
    assert "Invalid object name" in failure(cursor, "SELECT * FROM dbo.Changed")


def test_a_rolled_back_definition_never_was(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Undone (id int)")
    cursor.execute("BEGIN TRAN")
    cursor.execute("ALTER TABLE dbo.Undone ADD extra int")
    assert len(cursor.execute("SELECT * FROM dbo.Undone").description) == 2
    cursor.execute("ROLLBACK")
    assert len(cursor.execute("SELECT * FROM dbo.Undone").description) == 1


def test_indexes_are_told_apart(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Indexed (id int PRIMARY KEY NONCLUSTERED, a int NULL, b int NULL, c int NULL)")
    cursor.execute("INSERT INTO dbo.Indexed VALUES (1, NULL, 1, 1), (2, 5, 1, NULL), (3, 6, 2, NULL)")
    cursor.execute("CREATE UNIQUE INDEX u_a ON dbo.Indexed (a)")
    cursor.execute("CREATE INDEX i_ba ON dbo.Indexed (b DESC, a) INCLUDE (c)")
    cursor.execute("CREATE UNIQUE NONCLUSTERED INDEX f_c ON dbo.Indexed (c) WHERE c IS NOT NULL")
    assert "terminated because a duplicate key" in failure(cursor, "CREATE UNIQUE INDEX bad ON dbo.Indexed (b)")
    cursor.execute("ALTER INDEX i_ba ON dbo.Indexed DISABLE")
    found = rows(
        cursor,
        "SELECT i.name, i.is_unique, i.is_primary_key, i.has_filter, i.is_disabled, c.name, ic.key_ordinal, "
        "ic.is_included_column, ic.is_descending_key "
        "FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id "
        "AND ic.index_id = i.index_id JOIN sys.columns AS c ON c.object_id = i.object_id AND c.column_id = ic.column_id "
        "WHERE i.object_id = OBJECT_ID('dbo.Indexed') ORDER BY i.index_id, ic.index_column_id",
    )
    assert found == [
        ("PK_Indexed_id", True, True, False, False, "id", 1, False, False),
        ("u_a", True, False, False, False, "a", 1, False, False),
        ("i_ba", False, False, False, True, "b", 1, False, True), ("i_ba", False, False, False, True, "a", 2, False, False),
        ("i_ba", False, False, False, True, "c", 0, True, False), ("f_c", True, False, True, False, "c", 1, False, False),
    ]  # fmt: skip
    # one NULL is a value of its own to a unique index, a filter lets more in
    assert "with unique index 'u_a'" in failure(cursor, "INSERT INTO dbo.Indexed VALUES (4, NULL, 1, NULL)")
    assert "with unique index 'f_c'" in failure(cursor, "INSERT INTO dbo.Indexed VALUES (4, 9, 1, 1)")
    cursor.execute("INSERT INTO dbo.Indexed VALUES (4, 9, 1, NULL)")


def test_sizes_follow_the_data(cursor: Any) -> None:
    sql = (
        "SELECT SUM(CASE WHEN a.type = 1 THEN p.rows ELSE 0 END), SUM(a.used_pages), MAX(a.type) FROM sys.partitions AS p "
        "JOIN sys.allocation_units AS a ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END "
        "WHERE p.object_id = OBJECT_ID('dbo.Sized') AND p.index_id IN (0, 1)"
    )
    cursor.execute("CREATE TABLE dbo.Sized (id int PRIMARY KEY, v varchar(max))")
    assert rows(cursor, sql) == [(0, 0, 1)]
    cursor.execute("INSERT INTO dbo.Sized SELECT SalesOrderDetailID, REPLICATE('x', 800) FROM Sales.SalesOrderDetail")
    counted, pages, kind = rows(cursor, sql)[0]
    assert (counted, kind) == (1_213, 1)
    assert 1_213 * 800 / 8_192 < pages < 1_213 * 900 / 8_000 + 3
    cursor.execute("UPDATE dbo.Sized SET v = REPLICATE(v, 20)")
    _, pages, kind = rows(cursor, sql)[0]
    assert kind == 2
    assert pages > 1_213 * 16_000 / 8_192
    cursor.execute("DELETE FROM dbo.Sized WHERE id > 10")
    assert one(cursor, "SELECT row_count FROM sys.dm_db_partition_stats WHERE object_id = OBJECT_ID('dbo.Sized')") == 10


def test_synonyms_views_and_descriptions(cursor: Any) -> None:
    cursor.execute("CREATE SYNONYM dbo.Orders FOR [AdventureWorks].[Sales].[SalesOrderHeader]")
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Orders") == one(cursor, "SELECT COUNT(*) FROM Sales.SalesOrderHeader")
    sql = "SELECT s.name, s.base_object_name, OBJECT_NAME(OBJECT_ID(s.base_object_name)), PARSENAME(s.base_object_name, 2) "
    assert rows(cursor, sql + "FROM sys.synonyms AS s") == [
        ("Orders", "[AdventureWorks].[Sales].[SalesOrderHeader]", "SalesOrderHeader", "Sales")
    ]
    cursor.execute("CREATE VIEW dbo.Named AS SELECT Name, ProductID AS Number FROM Production.Product WHERE ProductID < 690")
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Named WHERE Number > 684") == 5
    place = "@level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'VIEW', @level1name = N'Named'"
    told = f"EXEC sys.sp_addextendedproperty @name = N'MS_Description', @value = N'Peças 😀', {place}"
    cursor.execute(told)
    cursor.execute(f"{told}, @level2type = N'COLUMN', @level2name = N'Number'")
    assert "already exists" in failure(cursor, told)
    sql = "SELECT class, minor_id, name, CONVERT(nvarchar(4000), value) FROM sys.extended_properties "
    assert rows(cursor, sql + "WHERE major_id = OBJECT_ID('dbo.Named') ORDER BY minor_id") == [
        (1, 0, "MS_Description", "Peças 😀"), (1, 2, "MS_Description", "Peças 😀")
    ]  # fmt: skip


def test_alias_types_lead_to_their_base(cursor: Any) -> None:
    cursor.execute("CREATE TYPE dbo.Code FROM nvarchar(12) NOT NULL")
    cursor.execute("CREATE TABLE dbo.Coded (c dbo.Code, d Flag)")
    sql = (
        "SELECT t.name, t.is_user_defined, b.name, c.max_length FROM sys.columns AS c "
        "JOIN sys.types AS t ON t.user_type_id = c.user_type_id JOIN sys.types AS b ON b.user_type_id = c.system_type_id "
        "WHERE c.object_id = OBJECT_ID('dbo.Coded') ORDER BY c.column_id"
    )
    assert rows(cursor, sql) == [("Code", True, "nvarchar", 24), ("Flag", True, "bit", 1)]


def test_what_is_denied_cannot_be_read(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Secret (id int, salary money)")
    cursor.execute("CREATE VIEW dbo.Shown AS SELECT id, salary FROM dbo.Secret")
    cursor.execute("DENY SELECT ON dbo.Secret (salary) TO reader")
    denied = (
        "The SELECT permission was denied on the column 'salary' of the object 'Secret', database 'AdventureWorks', schema 'dbo'"
    )
    for sql in ("SELECT salary FROM dbo.Secret", "SELECT * FROM dbo.Secret", "SELECT id FROM dbo.Secret WHERE salary > 1"):
        assert denied in failure(cursor, sql)
    assert rows(cursor, "SELECT id FROM dbo.Secret") == []
    assert rows(cursor, "SELECT salary FROM dbo.Shown") == []
    may = "SELECT HAS_PERMS_BY_NAME('dbo.Secret', 'OBJECT', 'SELECT'), HAS_PERMS_BY_NAME('dbo.Secret', 'OBJECT', 'SELECT', 'id', "
    may += "'COLUMN'), HAS_PERMS_BY_NAME('[dbo].[Secret]', 'OBJECT', 'SELECT', 'salary', 'COLUMN')"
    assert rows(cursor, may) == [(1, 1, 0)]
    cursor.execute("DENY SELECT ON OBJECT::dbo.Secret TO [reader]")
    assert "was denied on the object 'Secret'" in failure(cursor, "SELECT id FROM dbo.Secret")
    assert rows(cursor, may) == [(0, 0, 0)]
    cursor.execute("REVOKE SELECT ON dbo.Secret FROM reader")
    assert rows(cursor, may) == [(1, 1, 1)]
    assert rows(cursor, "SELECT HAS_PERMS_BY_NAME('dbo.Nothing', 'OBJECT', 'SELECT')") == [(None,)]


def test_extra_tables_are_found_quickly(cursor: Any) -> None:
    started = time.monotonic()
    found = rows(cursor, "SELECT t.name, c.name FROM sys.tables AS t JOIN sys.columns AS c ON c.object_id = t.object_id")
    assert len([name for name, _ in found if name.startswith("Table0")]) == 200
    assert time.monotonic() - started < 5
    assert one(cursor, "SELECT COUNT(*) FROM extra3.Table00013") == 0
