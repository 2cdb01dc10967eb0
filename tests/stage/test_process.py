"""A process of the pipeline takes the memory that its rows need, and reserves no more."""

from __future__ import annotations

import subprocess
import sys

import pytest

WRITES_PARQUET = """
from pathlib import Path
import {imported}
import pyarrow as pa, pyarrow.parquet as pq
rows = pa.table({{"n": range(100_000), "t": list(map(str, range(100_000)))}})
pq.write_table(rows, pa.BufferOutputStream(), compression="zstd")
ends = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()]
print(max(int(end, 16) - int(begin, 16) for begin, end in ends) >> 20)
"""
PROGRAMS = {  # as each is started, and what it then imports
    "tap-mssql": "tap_mssql.cli, tap_mssql.singer.batch_output",
    "tap-mssql with RECORDs": "tap_mssql.cli, tap_mssql.singer.tap",
    "tap-rest-api-msdk": "tap_rest_api_msdk.__main__, tap_rest_api_msdk.batch_output",
    "tap-rest-api-msdk with RECORDs": "tap_rest_api_msdk.__main__, tap_rest_api_msdk.tap",
    "target-parquet with RECORDs": "target_parquet.cli, target_parquet.records_load",
}


@pytest.mark.parametrize("imported", PROGRAMS.values(), ids=PROGRAMS)
def test_writing_parquet_reserves_no_pool_of_a_gigabyte(imported: str) -> None:
    script = WRITES_PARQUET.format(imported=imported)
    largest_mb = int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout)
    assert largest_mb < 512, f"one mapping of {largest_mb} MB"
