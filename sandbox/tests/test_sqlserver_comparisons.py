"""How values compare: collations, padding, SQL Server's own orders, conversions of literals."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlserver_kit import Counterpart, connect, failure, one, rows, running

WORDS = ["b", "B", "a", "A", "á", "a ", "ä", "", " ", "ab", "A b", "Z", "z"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with running(tmp_path_factory.mktemp("comparisons"), "--only-parquet") as found:
        cursor = connect(found).cursor()
        for name in COLLATIONS:
            values = ", ".join(f"({n}, N'{word}', N'{word}')" for n, word in enumerate(WORDS))
            kinds = f"v varchar(10) COLLATE {name}, n nvarchar(10) COLLATE {name}"
            cursor.execute(f"CREATE TABLE dbo.{name} (id int PRIMARY KEY, {kinds})")
            cursor.execute(f"INSERT INTO dbo.{name} VALUES {values}")
            cursor.execute(f"INSERT INTO dbo.{name} VALUES (99, NULL, NULL)")
        yield found


# per collation the classes of equal words, in order
COLLATIONS: dict[str, list[set[str]]] = {
    "SQL_Latin1_General_CP1_CI_AS": [{""}, {"a", "A"}, {"á"}, {"ä"}, {"A b"}, {"ab"}, {"b", "B"}, {"z", "Z"}],
    "Latin1_General_CI_AI": [{""}, {"a", "A", "á", "ä"}, {"A b"}, {"ab"}, {"b", "B"}, {"z", "Z"}],
    "Latin1_General_CS_AS": [{""}, {"a"}, {"A"}, {"á"}, {"ä"}, {"A b"}, {"ab"}, {"b"}, {"B"}, {"z"}, {"Z"}],
    "Latin1_General_BIN2": [{""}, {"A"}, {"A b"}, {"B"}, {"Z"}, {"a"}, {"ab"}, {"b"}, {"z"}, {"á"}, {"ä"}],
    "Latin1_General_100_CI_AS_SC_UTF8": [{""}, {"a", "A"}, {"á"}, {"ä"}, {"A b"}, {"ab"}, {"b", "B"}, {"z", "Z"}],
}


def place(name: str, word: str) -> int:
    return next(n for n, same in enumerate(COLLATIONS[name]) if word.rstrip(" ") in same)


@pytest.mark.parametrize("name", list(COLLATIONS))
@pytest.mark.parametrize("column", ["v", "n"])
def test_order_equality_and_groups_agree(cursor: Any, name: str, column: str) -> None:
    got = [
        place(name, word)
        for (word,) in rows(cursor, f"SELECT {column} FROM dbo.{name} WHERE {column} IS NOT NULL ORDER BY {column}")
    ]
    assert got == sorted(place(name, word) for word in WORDS)
    assert rows(cursor, f"SELECT TOP (1) {column} FROM dbo.{name} ORDER BY {column}") == [(None,)]
    for word in WORDS:
        for operator, holds in (("=", int.__eq__), ("<", int.__lt__), (">", int.__gt__), ("<=", int.__le__), ("<>", int.__ne__)):
            found = {n for (n,) in rows(cursor, f"SELECT id FROM dbo.{name} WHERE {column} {operator} N'{word}'")}
            assert found == {n for n, other in enumerate(WORDS) if holds(place(name, other), place(name, word))}, (operator, word)
    classes = len({place(name, word) for word in WORDS})
    assert one(cursor, f"SELECT COUNT(DISTINCT {column}) FROM dbo.{name}") == classes
    assert len(rows(cursor, f"SELECT DISTINCT {column} FROM dbo.{name}")) == classes + 1
    groups = rows(cursor, f"SELECT {column}, COUNT(*) FROM dbo.{name} GROUP BY {column} ORDER BY {column} DESC")
    assert [count for _, count in groups[:-1]] == [
        sum(place(name, word) == group for word in WORDS) for group in reversed(range(classes))
    ]
    low, high = rows(cursor, f"SELECT MIN({column}), MAX({column}) FROM dbo.{name}")[0]
    assert (place(name, low), place(name, high)) == (0, classes - 1)
    assert {n for (n,) in rows(cursor, f"SELECT id FROM dbo.{name} WHERE {column} BETWEEN 'a' AND 'b'")} == {
        n for n, word in enumerate(WORDS) if place(name, "a") <= place(name, word) <= place(name, "b")
    }
    assert {n for (n,) in rows(cursor, f"SELECT id FROM dbo.{name} WHERE {column} IN ('a', 'zz')")} == {
        n for n, word in enumerate(WORDS) if place(name, word) == place(name, "a")
    }


@pytest.mark.parametrize("name", list(COLLATIONS))
def test_an_explicit_collation_wins_also_inside_a_cast(cursor: Any, name: str) -> None:
    literal = f"CAST(N'a' COLLATE {name} AS varchar(20))"
    found = {n for (n,) in rows(cursor, f"SELECT id FROM dbo.Latin1_General_CS_AS WHERE n = {literal}")}
    assert found == {n for n, word in enumerate(WORDS) if place(name, word) == place(name, "a")}


def test_the_catalog_names_collations_and_contradicting_ones_are_refused(cursor: Any) -> None:
    sql = "SELECT c.collation_name FROM sys.columns AS c WHERE c.object_id = OBJECT_ID('dbo.Latin1_General_BIN2')"
    assert rows(cursor, sql) == [(None,), ("Latin1_General_BIN2",), ("Latin1_General_BIN2",)]
    joined = "FROM dbo.Latin1_General_BIN2 AS a JOIN dbo.Latin1_General_CI_AI AS b ON a.n = b.n"
    assert "Cannot resolve the collation conflict" in failure(cursor, f"SELECT COUNT(*) {joined}")
    assert one(cursor, f"SELECT COUNT(*) {joined} COLLATE Latin1_General_BIN2") > 0
    assert "Invalid collation" in failure(cursor, "SELECT N'a' COLLATE Nonsense")
    assert "collation Japanese_CI_AS is not supported" in failure(cursor, "SELECT N'a' COLLATE Japanese_CI_AS")


def test_a_unique_key_follows_its_collation(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Keyed (k varchar(10) COLLATE Latin1_General_CI_AI PRIMARY KEY)")
    cursor.execute("INSERT INTO dbo.Keyed VALUES ('ação')")
    assert "Violation of PRIMARY KEY" in failure(cursor, "INSERT INTO dbo.Keyed VALUES ('ACAO ')")


def test_emoji_weigh_nothing_below_version_100(cursor: Any) -> None:
    assert one(cursor, "SELECT CASE WHEN N'😀' = N'' AND N'😀' = N'😁' THEN 1 ELSE 0 END") == 1
    different = "SELECT CASE WHEN N'😀' COLLATE Latin1_General_100_CI_AS_SC_UTF8 = N'😁' THEN 1 ELSE 0 END"
    assert one(cursor, different) == 0


def test_utf8_text_reads_back(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Utf8 (v varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8)")
    cursor.execute("INSERT INTO dbo.Utf8 VALUES (N'ação 😀 日')")
    assert rows(cursor, "SELECT v, DATALENGTH(v), LEN(v) FROM dbo.Utf8") == [("ação 😀 日", 15, 8)]


def test_uniqueidentifiers_sort_by_sql_servers_bytes(cursor: Any) -> None:
    """Its last six bytes count first, then the pairs before them, backwards."""
    order = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3]
    made = [uuid.UUID(bytes_le=bytes(2 if n == at else 0 for n in range(16))) for at in order]
    cursor.execute("CREATE TABLE dbo.Guids (g uniqueidentifier PRIMARY KEY)")
    cursor.execute("INSERT INTO dbo.Guids VALUES " + ", ".join(f"('{value}')" for value in made))
    expected = list(reversed(made))
    # bytes 0..7 stand in the numbers of the text the other way round
    assert [g for (g,) in rows(cursor, "SELECT g FROM dbo.Guids ORDER BY g")] == expected
    for at, value in enumerate(expected):
        literal = f"CAST(N'{value}' AS uniqueidentifier)"
        assert one(cursor, f"SELECT COUNT(*) FROM dbo.Guids WHERE g > {literal}") == len(expected) - at - 1
    assert rows(cursor, "SELECT MIN(g), MAX(g) FROM dbo.Guids") == [(expected[0], expected[-1])]


def test_binary_values_are_padded_with_zeros(cursor: Any) -> None:
    assert one(cursor, "SELECT CASE WHEN 0x01 = 0x0100 AND 0x0101 > 0x01 THEN 1 ELSE 0 END") == 1
    cursor.execute("CREATE TABLE dbo.Binaries (id int, b varbinary(8))")
    cursor.execute("INSERT INTO dbo.Binaries VALUES (1, 0x02), (2, 0x0200), (3, 0x01ff), (4, 0x)")
    assert [n for (n,) in rows(cursor, "SELECT id FROM dbo.Binaries ORDER BY b, id")] == [4, 3, 1, 2]
    assert one(cursor, "SELECT COUNT(DISTINCT b) FROM dbo.Binaries") == 3
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Binaries WHERE b = CONVERT(varbinary(8), '0x020000', 1)") == 2


def test_datetimeoffset_compares_by_instant(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Instants (id int, o datetimeoffset(7))")
    cursor.execute(
        "INSERT INTO dbo.Instants VALUES (1, '2020-01-01T10:00:00+02:00'), (2, '2020-01-01T08:00:00Z'), "
        "(3, '2020-01-01T08:00:00.0000001Z'), (4, NULL)"
    )
    assert one(cursor, "SELECT COUNT(DISTINCT o) FROM dbo.Instants") == 2
    assert rows(cursor, "SELECT id FROM dbo.Instants WHERE o = CAST(N'2020-01-01 09:00 +01:00' AS datetimeoffset(7))") == [
        (1,),
        (2,),
    ]
    assert rows(cursor, "SELECT TOP (2) id FROM dbo.Instants ORDER BY o DESC, id") == [(3,), (1,)]
    assert rows(cursor, "SELECT TOP (1) id FROM dbo.Instants ORDER BY o") == [(4,)]


def test_datetime_is_rounded_to_a_three_hundredth(cursor: Any) -> None:
    texts = {
        "00.000": "00.000",
        "00.001": "00.000",
        "00.002": "00.003",
        "00.004": "00.003",
        "00.005": "00.007",
        "00.009": "00.010",
    }
    for given, kept in texts.items():
        sql = f"SELECT CONVERT(varchar(30), CAST(N'2020-01-01T00:00:{given}' AS datetime), 121)"
        assert one(cursor, sql) == f"2020-01-01 00:00:{kept}"
    cursor.execute("CREATE TABLE dbo.Moments (d datetime)")
    cursor.execute("INSERT INTO dbo.Moments VALUES ('2020-01-01T00:00:00.005')")
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Moments WHERE d = '2020-01-01T00:00:00.006'") == 1
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Moments WHERE d > CAST(N'2020-01-01T00:00:00.0066666' AS datetime2(7))") == 1


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("CAST(5 AS int) = '5'", 1), ("CAST(5 AS tinyint) = 5", 1), ("CAST(1.5 AS money) = CAST(N'1.5' AS money)", 1),
        ("CAST(N'0.1' AS real) = CAST(N'0.1' AS float)", 0), ("CAST(N'1.10' AS decimal(9,2)) = 1.1", 1), ("N'10' > 9", 1),
        ("CAST('2020-01-02' AS date) > '2020-01-01'", 1), ("CAST('10:00' AS time(7)) < CAST(N'10:00:00.0000001' AS time(7))", 1),
        ("CONVERT(binary(8), '0x0000000000000010', 1) > 15", 1), ("N'a' = 'A  '", 1), ("NOT (1 = NULL)", 0),
    ],
)  # fmt: skip
def test_literals_convert_by_precedence(cursor: Any, condition: str, holds: int) -> None:
    assert one(cursor, f"SELECT CASE WHEN {condition} THEN 1 ELSE 0 END") == holds


def test_a_column_of_text_converts_to_what_it_is_compared_with(cursor: Any) -> None:
    cursor.execute("CREATE TABLE dbo.Texts (id int, t varchar(50))")
    cursor.execute("INSERT INTO dbo.Texts VALUES (1, '2020-01-02T03:04:05.5'), (2, '2021-01-01')")
    assert rows(
        cursor, "SELECT id FROM dbo.Texts WHERE t > CAST(N'2020-01-02T03:04:05.4999' AS datetime2(7)) ORDER BY t DESC"
    ) == [(2,), (1,)]
    assert rows(cursor, "SELECT id FROM dbo.Texts WHERE CAST(t AS date) = '2020-01-02'") == [(1,)]
    assert "Conversion failed" in failure(cursor, "SELECT id FROM dbo.Texts WHERE t > 5")
