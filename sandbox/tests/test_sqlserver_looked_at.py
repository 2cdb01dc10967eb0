"""Rows that statements looked at, counted on request."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlserver_kit import connect, one, rows, running

ROWS = 10_000
COUNTER = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Rows looked at'"
STATEMENTS = {  # rows that a server with an index on the key looks at
    "SELECT id FROM dbo.t WHERE id > 2000": ROWS - 2_001,
    "SELECT COUNT_BIG(*) FROM dbo.t WHERE id > 2000 AND id <= 5000": 3_000,
    "SELECT id FROM dbo.t WHERE id < 0": 0,
    "SELECT TOP (4000) id FROM dbo.t WHERE id > 10 ORDER BY id": 4_000,
    "SELECT id FROM dbo.t ORDER BY id OFFSET 3999 ROWS FETCH NEXT 1 ROWS ONLY": 4_000,
    "SELECT SUM(v) FROM dbo.t": ROWS,
    "SELECT name FROM sys.tables": 0,
}


@pytest.mark.parametrize("is_asked", [True, False])
def test_rows_are_counted_where_the_server_was_asked_to(tmp_path: Path, is_asked: bool) -> None:
    pq.write_table(
        pa.table({"id": pa.array(range(ROWS), pa.int32()), "v": pa.array(range(ROWS), pa.int32())}), tmp_path / "t.parquet"
    )
    options = ["--only-parquet", "--parquet", f"dbo.t={tmp_path / 't.parquet'}:id", *(["--count-rows"] if is_asked else [])]
    with running(tmp_path / "server", *options) as server:
        cursor = connect(server).cursor()
        for sql, expected in STATEMENTS.items():
            before = one(cursor, COUNTER)
            rows(cursor, sql)
            assert one(cursor, COUNTER) - before == (expected if is_asked else 0), sql
