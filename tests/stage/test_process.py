"""A process of the pipeline takes the memory that its rows need, and reserves no more."""

from __future__ import annotations

import subprocess
import sys

WRITES_PARQUET = """
from pathlib import Path
from singer_arrow.process import tame_memory
import pyarrow as pa, pyarrow.parquet as pq
tame_memory()
pq.write_table(pa.table({"n": range(100_000), "t": list(map(str, range(100_000)))}), pa.BufferOutputStream(), compression="zstd")
ends = [line.split()[0].split("-") for line in Path("/proc/self/maps").read_text().splitlines()]
print(max(int(end, 16) - int(begin, 16) for begin, end in ends) >> 20)
"""


def test_writing_parquet_reserves_no_pool_of_a_gigabyte() -> None:
    largest_mb = int(subprocess.run([sys.executable, "-c", WRITES_PARQUET], capture_output=True, check=True, text=True).stdout)
    assert largest_mb < 512, f"one mapping of {largest_mb} MB"
