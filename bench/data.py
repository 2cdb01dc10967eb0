"""The tables that are read: TPC-H lineitem, and a wide table of mixed types; Parquet files in .cache/bench, made once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench import wide
from sandbox.launch import ROOT

CACHE = ROOT / ".cache/bench"
SCALE_FACTOR = 1.7  # 10.2 M rows of lineitem
SIZES = {"1m": 1_000_000, "10m": 10_000_000}


@dataclass(frozen=True)
class Table:
    """A table of the server's: `file` holds its rows in the order of `key`."""

    data: str
    size: str
    rows: int
    key: tuple[str, ...]
    file: Path
    schema: str = "bench"

    @property
    def name(self) -> str:
        """Its name within the schema."""
        return f"{self.data}_{self.size}"

    @property
    def option(self) -> str:
        """What tells the SQL Server counterpart to serve it."""
        return f"{self.schema}.{self.name}={self.file}:{','.join(self.key)}"


def tables(sizes: dict[str, int] = SIZES) -> list[Table]:
    """Both tables in all sizes; a smaller one is the beginning of a larger one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return [
        _made(Table(data, size, rows, key, CACHE / f"{data}_{size}.parquet"))
        for data, key in (("lineitem", ("l_orderkey", "l_linenumber")), ("wide", ("id",)))
        for size, rows in sizes.items()
    ]


def lineitem(size: str) -> Table:
    """Lineitem alone, in one size."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return _made(Table("lineitem", size, SIZES[size], ("l_orderkey", "l_linenumber"), CACHE / f"lineitem_{size}.parquet"))


def _made(table: Table) -> Table:
    if not table.file.exists() or pq.read_metadata(table.file).num_rows != table.rows:
        _write(table.file, _lineitem(table.rows) if table.data == "lineitem" else wide.batches(table.rows))
    return table


def _lineitem(rows: int) -> Iterator[pa.RecordBatch]:
    """The first rows of lineitem, which tpchgen-cli writes in key order."""
    whole = CACHE / "lineitem.parquet"
    if not whole.exists():
        tpchgen = ROOT / ".venvs/bench/bin/tpchgen-cli"
        command = [str(tpchgen), "parquet", "-s", str(SCALE_FACTOR), "--tables=lineitem", f"--output-dir={CACHE}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    left = rows
    for batch in pq.ParquetFile(whole).iter_batches(100_000):
        yield _plain(batch.slice(0, left))
        left -= min(left, batch.num_rows)
        if left == 0:
            return


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """String views as strings."""
    view = pa.string_view()
    schema = pa.schema([pa.field(f.name, pa.string() if f.type == view else f.type, f.nullable) for f in batch.schema])
    return batch.cast(schema)


def _write(file: Path, batches: Iterator[pa.RecordBatch]) -> None:
    hidden = file.with_name(f".{file.name}")
    first = next(batches)
    with pq.ParquetWriter(hidden, first.schema, compression="zstd", compression_level=1) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)
    hidden.replace(file)
