"""keep_100ns and keep_offset: what Arrow's microseconds and UTC do not hold is beside it as the server's own text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from mssql_kit import Tap, execute, good, select

from sandbox.launch import Counterpart, counterpart

KEPT = {"keep_100ns": True, "keep_offset": True}
PRINTED = """
SELECT id, CONVERT(varchar(34), at, 126) AS at_100ns, CONVERT(varchar(34), seen, 121) AS seen_100ns,
       RIGHT(CONVERT(varchar(34), seen, 121), 6) AS seen_offset, RIGHT(CONVERT(varchar(34), local, 121), 6) AS local_offset
FROM dbo.Kept ORDER BY id
"""  # of a datetimeoffset in style 121 the last six characters are its offset


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("kept"), "--scale", "0.001") as running:
        columns = "at datetime2(7) NULL, seen datetimeoffset(7) NULL, local datetimeoffset(3) NOT NULL, clock time(7) NULL"
        execute(running, f"CREATE TABLE dbo.Kept (id int NOT NULL PRIMARY KEY, {columns})")
        rows = (
            "1, '2020-01-02T03:04:05.1234567', '2020-01-02T03:04:05.1234567+05:45', '2020-01-02T03:04:05.123-03:30', '23:59:59'",
            "2, NULL, NULL, '0001-01-01T00:00:00.001+00:00', NULL",
            "3, '0001-01-01T00:00:00.0000001', '9999-12-31T23:59:59.9999999+00:00', '9999-12-31T09:00:00.999-14:00', NULL",
            "4, '9999-12-31T23:59:59.9999999', '0001-01-01T14:00:00.0000001+14:00', '2020-02-29T00:00:00.000+14:00', '00:00:01'",
        )
        execute(running, *(f"INSERT INTO dbo.Kept VALUES ({row})" for row in rows))
        yield running


@pytest.fixture
def tap(server: Counterpart, tmp_path: Any) -> Tap:
    return Tap(server, tmp_path, {"streams": ["dbo.Kept"]})


def printed(server: Counterpart) -> list[dict[str, Any]]:
    """The texts as the server writes them, by row."""
    return select(server, PRINTED).to_pylist()


def test_parts_have_the_text_of_the_seventh_digit_and_of_the_offset_beside_the_moment(server: Counterpart, tap: Tap) -> None:
    table = good(tap.run(**KEPT)).table("dbo-Kept")
    beside = ["at_100ns", "seen_100ns", "seen_offset", "local_offset"]
    assert table.column_names == ["id", "at", "at_100ns", "seen", "seen_100ns", "seen_offset", "local", "local_offset", "clock"]
    assert {table.schema.field(name).type for name in beside} == {pa.string()}
    assert table.select(["id", *beside]).to_pylist() == printed(server)
    assert table.column("seen_offset").to_pylist() == ["+05:45", None, "+00:00", "+14:00"]
    assert table.column("at_100ns")[2].as_py() == "0001-01-01T00:00:00.0000001"


def test_records_have_them_too(server: Counterpart, tap: Tap) -> None:
    records = good(Tap(server, tap.folder / "records", tap.settings, batch=False).run(**KEPT)).records("dbo-Kept")
    names = printed(server)[0]
    assert [{name: record[name] for name in names} for record in records] == printed(server)


def test_without_them_no_column_is_added(tap: Tap) -> None:
    assert good(tap.run()).table("dbo-Kept").column_names == ["id", "at", "seen", "local", "clock"]


def test_a_name_that_the_table_has_already_is_refused_and_the_other_stream_is_read(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Clash (id int NOT NULL PRIMARY KEY, seen datetimeoffset NULL, seen_offset int NULL)")
    ran = tap.run(streams=["dbo.Clash", "dbo.Kept"], **KEPT)
    assert ran.code == 3 and ran.streams == {"dbo-Kept"}
    assert (
        "stream dbo-Clash: keep_100ns and keep_offset add seen_offset, a name that a column of the table has already" in ran.said
    )
    execute(server, "DROP TABLE dbo.Clash")
