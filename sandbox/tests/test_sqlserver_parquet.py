"""Tables made from Parquet files."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlserver_kit import ROOT, Counterpart, connect, one, rows, running, table

COUNT = 50_000
MOMENT = dt.datetime(1899, 12, 31, 23, 59, 59, 999_999)


def data() -> pa.Table:
    numbers = range(COUNT)
    return pa.table(
        {
            "a": pa.array([n // 7 for n in numbers], pa.int64()),
            "b": pa.array([n % 7 for n in numbers], pa.int32()),
            "small": pa.array([n % 100 - 50 if n % 3 else None for n in numbers], pa.int8()),
            "money": pa.array([Decimal(n).scaleb(-4) for n in numbers], pa.decimal128(19, 4)),
            "double": pa.array([n / 3 for n in numbers], pa.float64()),
            "flag": pa.array([n % 2 == 0 for n in numbers]),
            "day": pa.array([dt.date(1, 1, 1) if n % 2 else dt.date(9999, 12, 31) for n in numbers]),
            "moment": pa.array([MOMENT if n % 5 else None for n in numbers], pa.timestamp("us")),
            "text": pa.array([["ação 😀", "", None, "x" * 17][n % 4] for n in numbers]),
            "data": pa.array([[b"\0\1", b"", None][n % 3] for n in numbers]),
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    pq.write_table(data(), folder / "sorted.parquet")
    pq.write_table(data().take(list(reversed(range(COUNT)))), folder / "reversed.parquet")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[Counterpart]:
    given = [f"dbo.{name}={files}/{name}.parquet:a,b" for name in ("sorted", "reversed")]
    options = [word for text in [*given, f"dbo.heap={files}/sorted.parquet"] for word in ("--parquet", text)]
    with running(tmp_path_factory.mktemp("server"), "--only-parquet", *options) as found:
        yield found


@pytest.mark.parametrize("name", ["sorted", "reversed"])
def test_a_file_reads_back_equal_in_key_order(server: Counterpart, name: str) -> None:
    got = table(server, f"SELECT * FROM dbo.{name} ORDER BY a, b")
    expected = data()
    for column in expected.column_names:
        one_type = got[column].cast(expected[column].type).combine_chunks()
        assert one_type.equals(expected[column].combine_chunks()), column


def test_the_catalog_tells_types_and_key_and_nothing_else_is_there(server: Counterpart) -> None:
    cursor = connect(server).cursor()
    assert rows(cursor, "SELECT name FROM sys.tables ORDER BY name") == [("heap",), ("reversed",), ("sorted",)]
    types = rows(
        cursor,
        "SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable FROM sys.columns AS c JOIN sys.types AS t "
        "ON t.user_type_id = c.user_type_id WHERE c.object_id = OBJECT_ID('dbo.sorted') ORDER BY c.column_id",
    )
    assert types == [
        ("a", "bigint", 8, 19, 0, False), ("b", "int", 4, 10, 0, False), ("small", "smallint", 2, 5, 0, True),
        ("money", "decimal", 9, 19, 4, False), ("double", "float", 8, 53, 0, False), ("flag", "bit", 1, 1, 0, False),
        ("day", "date", 3, 10, 0, False), ("moment", "datetime2", 8, 26, 6, True), ("text", "nvarchar", 40, 0, 0, True),
        ("data", "varbinary", 10, 0, 0, True),
    ]  # fmt: skip


def test_ranges_of_the_key_are_what_a_plain_scan_finds(server: Counterpart) -> None:
    """Also after a change that ends the stored order."""
    cursor = connect(server).cursor()
    after = "(a > CAST(N'3000' AS bigint) OR (a = CAST(N'3000' AS bigint) AND b > CAST(N'2' AS int)))"
    upto = "(a < CAST(N'3100' AS bigint) OR (a = CAST(N'3100' AS bigint) AND b <= CAST(N'1' AS int)))"
    expected = [(n // 7, n % 7) for n in range(3000 * 7 + 3, 3100 * 7 + 2)]
    assert rows(cursor, f"SELECT a, b FROM dbo.reversed WHERE {after} AND {upto} ORDER BY a, b") == expected
    assert one(cursor, f"SELECT COUNT_BIG(*) FROM dbo.reversed WHERE {after} AND {upto}") == len(expected)
    assert rows(cursor, f"SELECT a, b FROM dbo.heap WHERE {after} AND {upto} ORDER BY a, b") == expected
    probe = f"SELECT a, b FROM dbo.reversed WHERE {after} ORDER BY a, b OFFSET 500 ROWS FETCH NEXT 1 ROWS ONLY"
    assert rows(cursor, probe) == [expected[500]]
    assert rows(cursor, f"SELECT TOP (1) a, b FROM dbo.reversed WHERE {upto} ORDER BY a DESC, b DESC") == [expected[-1]]
    cursor.execute(
        "INSERT INTO dbo.reversed SELECT a, 50, small, money, double, flag, day, moment, text, data FROM dbo.heap "
        "WHERE a = 3050 AND b = 0"
    )
    assert rows(cursor, f"SELECT a, b FROM dbo.reversed WHERE {after} AND {upto} ORDER BY a, b") == sorted(
        [*expected, (3050, 50)]
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nonsense", "is not SCHEMA.TABLE=FILE"),
        ("dbo.t=/nowhere.parquet:a", "does not exist"),
        ("dbo.t={files}/sorted.parquet:zz", "has no column zz"),
        ("dbo.t={files}/sorted.parquet:a", "is not unique"),
        ("dbo.t={files}/sorted.parquet:small", "holds NULL"),
    ],
)
def test_a_file_that_cannot_be_the_table_is_refused(files: Path, tmp_path: Path, given: str, message: str) -> None:
    command = [str(ROOT / ".venvs/sandbox/bin/python"), "-m", "sandbox.sqlserver", "--data", str(tmp_path), "--only-parquet"]
    done = subprocess.run(
        [*command, "--parquet", given.format(files=files)],
        cwd=ROOT, env={"SANDBOX_USER": "u", "SANDBOX_PASSWORD": "p"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
