"""Ranges over a key of any type: what CONVERT prints of a value reads back as that value, and cuts the table exactly there."""

from __future__ import annotations

from typing import Any

import pytest
from sqlserver_kit import rows

OPTIONS = ("--only-parquet",)
# type: its values in SQL Server's order, the style of CONVERT, how the text becomes a literal
KEYS: dict[str, tuple[list[str], int | None]] = {
    "bit": (["0", "1"], None),
    "tinyint": (["0", "7", "255"], None),
    "int": (["-2147483648", "-1", "0", "2147483647"], None),
    "bigint": (["-9223372036854775808", "0", "9223372036854775807"], None),
    "decimal(38,10)": (["-1234567890123456789012345678.0000000001", "0.0000000000", "0.0000000001"], None),
    "money": (["-922337203685477.5808", "0.0001", "0.0002", "922337203685477.5807"], 2),
    "smallmoney": (["-214748.3648", "0.0001", "214748.3647"], 2),
    "float": (["-1.7976931348623157e+308", "0.1", "0.10000000000000002", "1e300"], 3),
    "real": (["-3.4e38", "0.1", "0.10000001", "1e30"], 3),
    "date": (["0001-01-01", "1900-01-01", "9999-12-31"], 23),
    "time(7)": (["00:00:00.0000000", "12:00:00.0000001", "23:59:59.9999999"], 121),
    "time(0)": (["00:00:00", "23:59:59"], 121),
    "datetime": (["1753-01-01", "2020-01-01T00:00:00.003", "2020-01-01T00:00:00.007", "9999-12-31T23:59:59.997"], 126),
    "smalldatetime": (["1900-01-01T00:00:00", "2020-02-29T23:59:00", "2079-06-06T23:59:00"], 126),
    "datetime2(7)": (["0001-01-01T00:00:00", "2020-01-01T00:00:00.0000001", "9999-12-31T23:59:59.9999999"], 126),
    "datetime2(3)": (["0001-01-01T00:00:00", "2020-01-01T00:00:00.001", "9999-12-31T23:59:59.999"], 126),
    "datetime2(0)": (["0001-01-01T00:00:00", "9999-12-31T23:59:59"], 126),
    "datetimeoffset(7)": (
        ["0001-01-01T00:00:00Z", "2020-01-01T10:00:00.0000001+14:00", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"],
        126,
    ),
    "datetimeoffset(0)": (["2020-01-01T00:00:01+01:00", "2020-01-01T00:00:00Z", "2019-12-31T23:00:00-05:00"], 126),
    "varchar(20)": (["", "-x", "a b", "é", "O'Neil", "Z"], None),
    "nvarchar(20)": (["", "a]b", "ação", "日本", "日本 x"], None),
    "char(5)": (["a", "abcde", "b"], None),
    "nchar(5)": (["a", "abcde", "ç"], None),
    "uniqueidentifier": (
        ["FFFFFFFF-FFFF-FFFF-0000-000000000000", "00000000-0000-0000-0100-000000000000", "00000000-0000-0000-0000-000000000001"],
        None,
    ),
    "binary(4)": (["0x00000000", "0x000000ff", "0x01000000", "0xffffffff"], 1),
    "varbinary(8)": (["0x", "0x01", "0x0101", "0xff"], 1),
}  # fmt: skip


def literal(kind: str, text: str) -> str:
    if "binary" in kind:
        return f"CONVERT({kind}, '{text}', 1)"
    escaped = text.replace("'", "''")
    collate = " COLLATE SQL_Latin1_General_CP1_CI_AS" if "char" in kind else ""
    return f"CAST(N'{escaped}'{collate} AS {kind})"


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_boundary_read_back_cuts_exactly_there(cursor: Any, kind: str) -> None:
    values, style = KEYS[kind]
    table = f"dbo.[{kind}]"
    cursor.execute(f"CREATE TABLE {table} (k {kind} NOT NULL, n int NOT NULL, PRIMARY KEY (k, n))")
    numbers = [10 * place + n for place in range(len(values)) for n in (1, 2)]
    for number in reversed(numbers):
        cursor.execute(f"INSERT INTO {table} VALUES ({literal(kind, values[number // 10])}, {number})")
    printed = f"CONVERT(nvarchar(100), k{f', {style}' if style is not None else ''})"
    found = rows(cursor, f"SELECT {printed}, n FROM {table} ORDER BY k, n")
    assert [n for _, n in found] == numbers
    for place, (text, n) in enumerate(found):
        key = literal(kind, text)
        after = f"(k > {key} OR (k = {key} AND n > CAST(N'{n}' AS int)))"
        expected = found[place + 1 :]
        assert rows(cursor, f"SELECT {printed}, n FROM {table} WHERE {after} ORDER BY k, n") == expected
        assert len(rows(cursor, f"SELECT n FROM {table} WHERE NOT {after}")) == place + 1
        probe = f"SELECT {printed}, n FROM {table} WHERE {after} ORDER BY k, n OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY"
        assert rows(cursor, probe) == expected[:1]
        assert [m // 10 for (m,) in rows(cursor, f"SELECT n FROM {table} WHERE k = {key} ORDER BY n")] == [n // 10] * 2


def test_a_rowversion_key_is_cut_alike(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Versions (id int, v rowversion PRIMARY KEY)")
    cursor.execute("INSERT INTO dbo.Versions (id) VALUES (1), (2), (3)")
    found = rows(cursor, "SELECT CONVERT(varchar(20), v, 1), id FROM dbo.Versions ORDER BY v")
    for place, (text, _) in enumerate(found):
        after = f"SELECT id FROM dbo.Versions WHERE v > CONVERT(binary(8), '{text}', 1) ORDER BY v"
        assert [n for (n,) in rows(cursor, after)] == [n for _, n in found[place + 1 :]]


def test_null_comes_first_and_is_no_value(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Holes (k int NULL, n int)")
    cursor.execute("INSERT INTO dbo.Holes VALUES (2, 1), (NULL, 2), (1, 3)")
    assert rows(cursor, "SELECT k FROM dbo.Holes ORDER BY k") == [(None,), (1,), (2,)]
    assert rows(cursor, "SELECT k FROM dbo.Holes ORDER BY k DESC") == [(2,), (1,), (None,)]
    assert rows(cursor, "SELECT n FROM dbo.Holes WHERE k > CAST(N'1' AS int) OR k IS NULL ORDER BY k") == [(2,), (1,)]
    assert rows(cursor, "SELECT n FROM dbo.Holes WHERE NOT (k > CAST(N'1' AS int))") == [(3,)]
