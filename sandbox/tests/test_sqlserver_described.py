"""sys.dm_exec_describe_first_result_set: the columns of a query that is not run, or its error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlserver_kit import Counterpart, connect, failure, rows, running

ASK = (
    "SELECT name, system_type_name, max_length, precision, scale, is_nullable, collation_name, error_number "
    "FROM {} ORDER BY column_ordinal"
)
OF = "sys.dm_exec_describe_first_result_set(N'{}', NULL, 0) AS d"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with running(tmp_path_factory.mktemp("described")) as found:
        cursor = connect(found).cursor()
        cursor.execute(
            "CREATE TABLE dbo.L (id int NOT NULL PRIMARY KEY, t nvarchar(9) COLLATE Latin1_General_BIN2 NOT NULL, v rowversion)"
        )
        cursor.execute("CREATE TABLE dbo.R (id int NOT NULL PRIMARY KEY, at datetime2(3) NOT NULL, m money NULL)")
        yield found


def described(server: Counterpart, sql: str) -> list[tuple[object, ...]]:
    return rows(connect(server).cursor(), ASK.format(OF.format(sql.replace("'", "''"))))


def test_columns_have_their_declared_types_and_what_an_outer_join_fills_up_may_be_null(
    server: Counterpart, tmp_path: Path
) -> None:
    found = described(server, "SELECT l.id, t, v, at, m, N'é' AS x FROM dbo.L AS l LEFT JOIN dbo.R AS r ON r.id = l.id")
    assert [row[:6] for row in found] == [
        ("id", "int", 4, 10, 0, False),
        ("t", "nvarchar(9)", 18, 0, 0, False),
        ("v", "timestamp", 8, 0, 0, False),
        ("at", "datetime2(3)", 7, 23, 3, True),
        ("m", "money", 8, 19, 4, True),
        ("x", "nvarchar(1)", 2, 0, 0, True),
    ]
    assert found[1][6] == "Latin1_General_BIN2"
    inner = described(server, "SELECT at FROM dbo.L AS l JOIN dbo.R AS r ON r.id = l.id")
    assert not inner[0][5]
    left = described(server, "SELECT l.id, at FROM dbo.L AS l RIGHT JOIN dbo.R AS r ON r.id = l.id")
    assert (left[0][5], left[1][5]) == (True, False)


def test_what_would_fail_is_one_row_with_its_error(server: Counterpart) -> None:
    for sql, number in (
        ("SELECT nope FROM dbo.L", 207),
        ("SELECT 1 AS a FROM dbo.Nowhere", 208),
        ("SELEC 1", 102),
        ("SELECT * FROM (SELECT id FROM dbo.L ORDER BY id) AS q", 1033),
        ("SELECT * FROM (SELECT id, id + 1 FROM dbo.L) AS q", 8155),
        ("SELECT * FROM (SELECT id, id FROM dbo.L) AS q", 8156),
    ):
        [row] = described(server, sql)
        assert (row[0], row[7]) == (None, number), sql
    assert "1033" not in str(described(server, "SELECT * FROM (SELECT TOP (1) id FROM dbo.L ORDER BY id) AS q"))
    assert "ORDER BY clause is invalid" in failure(
        connect(server).cursor(), "SELECT * FROM (SELECT id FROM dbo.L ORDER BY id) AS q"
    )
