"""Memory is bounded by the settings, whatever the width of the rows."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mssql_kit import Tap, good, select

from sandbox.launch import Counterpart, counterpart

WIDE, WIDE_ROWS = 8_000_000, 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("memory")
    wide = pa.table({"id": pa.array(range(WIDE_ROWS), pa.int32()), "b": [bytes([n]) * WIDE for n in range(WIDE_ROWS)]})
    pq.write_table(wide, folder / "wide.parquet", row_group_size=2)
    narrow = pa.table({"id": pa.array(range(300_000), pa.int32()), "t": ["row of some width"] * 300_000})
    pq.write_table(narrow, folder / "narrow.parquet")
    options = ["--only-parquet", "--parquet", f"big.Wide={folder / 'wide.parquet'}:id"]
    options += ["--parquet", f"big.Narrow={folder / 'narrow.parquet'}:id"]
    with counterpart("sqlserver", folder / "server", *options) as running:
        yield running


def peak_mb(tap: Tap, **settings: object) -> float:
    """The kernel's high-water mark of the tap's own memory, in MB."""
    process = tap.start(**settings)
    status, peak = Path(f"/proc/{process.pid}/status"), 0.0
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.is_set():
            found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text() if status.exists() else "")
            peak = max(peak, int(found[1]) / 1000) if found else peak
            time.sleep(0.01)

    thread = threading.Thread(target=watch)
    thread.start()
    ran = tap.ran(process)
    over.set()
    thread.join()
    good(ran)
    return peak


def test_rows_of_8_mb_take_no_more_than_the_budget(server: Counterpart, tmp_path: Path) -> None:
    narrow = peak_mb(Tap(server, tmp_path / "narrow"), streams=["big.Narrow"], memory_mib=96)
    wide = peak_mb(Tap(server, tmp_path / "wide"), streams=["big.Wide"], memory_mib=96)
    assert wide < narrow + 96, f"{wide:.0f} MB for {WIDE_ROWS} rows of {WIDE} bytes, {narrow:.0f} MB for narrow ones"


def test_rows_of_8_mb_arrive_whole(server: Counterpart, tmp_path: Path) -> None:
    ran = good(Tap(server, tmp_path).run(streams=["big.Wide"]))
    found = ran.table("big-Wide").sort_by("id")
    expected = select(server, "SELECT id, DATALENGTH(b) AS size, CONVERT(varbinary(4), b) AS head FROM big.Wide ORDER BY id")
    assert [len(b) for b in found.column("b").to_pylist()] == expected.column("size").to_pylist() == [WIDE] * WIDE_ROWS
    assert [b[:4] for b in found.column("b").to_pylist()] == expected.column("head").to_pylist()
