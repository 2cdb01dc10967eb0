"""The conversion job on Sail and on real Spark with Delta, beside the shortest code that does the same.

Job and peer run in one engine process that stays, in turn; CPU seconds are that process's own, wall seconds the caller's.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data import CACHE, lineitem
from bench.figures import Figure, report
from sandbox.launch import ROOT
from singer_arrow import documents, names
from singer_arrow.documents import Cursor, Manifest
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartWriter

sys.path.insert(0, str(ROOT / "tests/convert"))

from engine_kit import Engine, Lake
from lakehouse_kit import Made, fits

RUNS = int(os.environ.get("BENCH_RUNS", "5"))
ENGINES = os.environ.get("BENCH_ENGINES", "sail spark").split()
SIZES = os.environ.get("BENCH_SIZES", "1m 10m").split()
BEGIN = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FULL, WRITE, MERGE, VERIFY, MANY = 1.3, 1.1, 1.15, 1.2, 10.0

WRITE_IT = """
from pyspark.sql import SparkSession
import sys
spark = SparkSession.builder.getOrCreate()
spark.read.parquet(*sys.argv[2:]).write.format("delta").mode("overwrite").save(sys.argv[1])
"""
MERGE_IT = """
from pyspark.sql import SparkSession
import sys
spark = SparkSession.builder.getOrCreate()
table, *keys = sys.argv[1].split(",")
frame = spark.read.parquet(*sys.argv[2:])
frame.createOrReplaceTempView("changes")
on = " AND ".join(f"t.{k} = s.{k}" for k in keys)
sets = ", ".join(f"t.{c} = s.{c}" for c in frame.columns)
names, values = ", ".join(frame.columns), ", ".join("s." + c for c in frame.columns)
spark.sql(f"MERGE INTO delta.`{table}` t USING changes s ON {on} WHEN MATCHED THEN UPDATE SET {sets} "
          f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})").collect()
"""
SUM_IT = """
from pyspark.sql import SparkSession, functions as F
import sys
spark = SparkSession.builder.getOrCreate()
spark.read.format("delta").load(sys.argv[1]).agg(*(F.expr(each) for each in sys.argv[2:])).collect()
"""


@dataclass
class Times:
    """Wall and CPU seconds, run by run."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def ratio(self, other: Times, what: str) -> float:
        """The median of what one took, over the other's."""
        return statistics.median(getattr(self, what)) / statistics.median(getattr(other, what))


@dataclass
class Bench:
    """One engine, and the times of everything that ran on it."""

    engine: Engine
    folder: Path
    times: dict[str, Times] = field(default_factory=dict)

    def timed(self, name: str, step: Callable[[], object]) -> None:
        """Runs a step once, and notes what it took."""
        before, began = self._cpu(), time.monotonic()
        step()
        wall, after = time.monotonic() - began, self._cpu()
        found = self.times.setdefault(name, Times())
        found.wall.append(wall)
        found.cpu.append(after - before)
        print(f"bench: {self.engine.kind} {name}: {wall:.2f} s, {found.cpu[-1]:.2f} CPU s", file=sys.stderr)

    def _cpu(self) -> float:
        """CPU seconds of the engine so far: Spark's JVM is a child of its process."""
        engine = psutil.Process(self.engine.pid)
        times = [each.cpu_times() for each in (engine, *engine.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def peer(self, script: str, *arguments: str) -> None:
        """Runs a script in the engine's process."""
        file = self.folder / "peer.py"
        file.write_text(script)
        code, printed = self.engine.run(list(arguments), script=file)
        if code:
            sys.exit(f"bench: a peer failed: {printed[-3000:]}")


def main() -> None:
    """All figures on the engines asked for; exit 1 when one falls short."""
    figures: list[Figure] = []
    raw: dict[str, object] = {}
    for kind in ENGINES:
        with tempfile.TemporaryDirectory(prefix=f"bench-{kind}-") as name:
            bench = Bench(Engine(kind, Path(name), as_shipped=True), Path(name))
            for size in SIZES:
                figures += _overwrite(bench, size)
            figures += _merge(bench, SIZES[-1])
            figures += _many(bench)
            bench.engine.stop()
            raw[kind] = {name: {"wall": t.wall, "cpu": t.cpu} for name, t in bench.times.items()}
    report("lakehouse", figures, raw)


def _overwrite(bench: Bench, size: str) -> list[Figure]:
    lake = Lake(bench.engine, bench.folder / size)
    source = _source(size)
    bare = bench.folder / f"bare-{size}"
    for run in range(RUNS + 1):
        load = _load(lake, "Lineitem", run, source, key=("l_orderkey", "l_linenumber"))
        parts = [str(lake.stage / "sqlserver" / file["path"]) for file in load.manifest["files"]]
        note = bench if run else _Warm(bench)  # the first of each compiles, and is not counted
        note.timed(f"overwrite_{size}.bare", lambda parts=parts: bench.peer(WRITE_IT, str(bare), *parts))
        note.timed(f"overwrite_{size}.full", lambda load=load: lake.run(load))
        checked = _sums(lake, load)
        note.timed(f"verify_{size}.bare", lambda checked=checked: bench.peer(SUM_IT, str(lake.tables / "lineitem"), *checked))
        note.timed(f"verify_{size}.ours", lambda load=load: _check(lake, load))
        again = _load(lake, "Written", run, source, key=("l_orderkey", "l_linenumber"))
        note.timed(f"overwrite_{size}.write", lambda again=again: _run(lake, [again], verify="write"))
    t, kind = bench.times, bench.engine.kind
    figures = [
        Figure(f"{kind}.overwrite_{size}.full.{what}", t[f"overwrite_{size}.full"].ratio(t[f"overwrite_{size}.bare"], what), FULL)
        for what in ("wall", "cpu")
    ]
    if kind == "spark":  # Sail cannot observe what it writes
        written = t[f"overwrite_{size}.write"].ratio(t[f"overwrite_{size}.bare"], "wall")
        figures.append(Figure(f"{kind}.overwrite_{size}.write.wall", written, WRITE))
    verify = t[f"verify_{size}.ours"].ratio(t[f"verify_{size}.bare"], "wall")
    return [*figures, Figure(f"{kind}.verify_{size}.wall", verify, VERIFY)]


def _merge(bench: Bench, size: str) -> list[Figure]:
    """1 % of the rows, spread over the table, into all of it."""
    lake = Lake(bench.engine, bench.folder / "merge")
    source = _source(size)
    key = ("l_orderkey", "l_linenumber")
    lake.run(_load(lake, "Lineitem", 0, source, key))
    bare = bench.folder / "bare-merge"
    whole = [str(lake.stage / "sqlserver" / file["path"]) for file in _load(lake, "Whole", 0, source, key).manifest["files"]]
    bench.peer(WRITE_IT, str(bare), *whole)
    changes = [pa.Table.from_batches([batch]).take(list(range(0, batch.num_rows, 100))) for batch in _batches(source)]
    file = CACHE / f"changes_{size}.parquet"
    pq.write_table(pa.concat_tables(changes), file)
    for run in range(RUNS + 1):
        load = _load(lake, "Lineitem", run + 1, file, key, mode="merge")
        parts = [str(lake.stage / "sqlserver" / each["path"]) for each in load.manifest["files"]]
        note = bench if run else _Warm(bench)
        target = ",".join([str(bare), *key])
        note.timed("merge.bare", lambda target=target, parts=parts: bench.peer(MERGE_IT, target, *parts))
        note.timed("merge.ours", lambda load=load: lake.run(load))
    t = bench.times
    return [Figure(f"{bench.engine.kind}.merge.wall", t["merge.ours"].ratio(t["merge.bare"], "wall"), MERGE)]


def _many(bench: Bench) -> list[Figure]:
    """200 loads of one row in 20 streams, against one load."""
    rows = pa.table({"Id": pa.array([1], pa.int32()), "Name": ["x"]})
    for run in range(RUNS + 1):
        lake = Lake(bench.engine, bench.folder / f"many-{run}")
        small = lake.stage / "small.parquet"
        pq.write_table(rows, small)
        one = _load(lake, "One", 0, small, ("Id",), mode="merge")
        many = [_load(lake, f"Stream{n % 20}", n, small, ("Id",), mode="merge") for n in range(200)]
        note = bench if run else _Warm(bench)
        note.timed("loads.one", lambda lake=lake, one=one: lake.run(one))
        note.timed("loads.many", lambda lake=lake, many=many: _run(lake, many))
    return [
        Figure(f"{bench.engine.kind}.loads_200.wall", bench.times["loads.many"].ratio(bench.times["loads.one"], "wall"), MANY)
    ]


@dataclass
class _Warm:
    """Times that are not kept."""

    bench: Bench

    def timed(self, name: str, step: Callable[[], object]) -> None:
        step()


def _run(lake: Lake, loads: list[Made], verify: str = "full") -> None:
    code, printed = lake.engine.run(lake.order(loads, verify=verify))
    if code:
        sys.exit(f"bench: the job failed: {printed[-3000:]}")


def _check(lake: Lake, load: Made) -> None:
    code, printed = lake.engine.run([*lake.order([load]), "--check-only"])
    if code:
        sys.exit(f"bench: the check failed: {printed[-3000:]}")


def _sums(lake: Lake, load: Made) -> list[str]:
    """The same aggregates as the job's, as SQL: taken from the job's own, so that both ask the same."""
    sys.path.insert(0, str(ROOT / "plugins/utilities/lakehouse/src"))
    from lakehouse.job.facts import fact_sql

    return ["count(1)", *(sql for each in load.manifest["schema"] for sql in fact_sql(each["column"], each["type"]).values())]


def _source(size: str) -> Path:
    return lineitem(size).file


def _batches(file: Path) -> list[pa.RecordBatch]:
    return list(pq.ParquetFile(file).iter_batches(batch_size=1 << 16))


def _load(lake: Lake, stream: str, started: int, source: Path, key: tuple[str, ...], mode: str = "overwrite") -> Made:
    """A load as the taps write it: by this project's own writer, whose facts are exact."""
    begin = BEGIN + timedelta(minutes=started)
    load_id = names.load_id(f"run {started}", "bench", stream, begin)
    folder = lake.stage / "sqlserver" / names.folder(stream)
    file = pq.ParquetFile(source)
    schema = file.schema_arrow
    writer = PartWriter(folder, load_id, schema, {}, list(key))
    for batch in file.iter_batches(batch_size=1 << 16):
        writer.write(batch)
    writer.close()
    files = [documents.msgspec.structs.replace(each, path=f"{names.folder(stream)}/{each.path}") for each in writer.files]
    manifest = Manifest(
        load_id=load_id, run_id="bench", source="sqlserver", stream=stream, table=stream.lower(), mode=mode,  # type: ignore[arg-type]
        key_columns=list(key), cursor=None if mode == "overwrite" else Cursor(schema.names[0], None, None),
        schema=documents.columns_of(stream, schema, {}), files=files, rows=writer.rows, source_rows=writer.rows,
        columns=writer.facts(), dead_letters=0, bookmark=None, started_at=utc_text(begin), ended_at=utc_text(begin), notes=[],
    )  # fmt: skip
    path = lake.stage / "sqlserver" / names.manifest(load_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    documents.write(path, manifest)
    return Made(fits("manifest", documents.msgspec.json.decode(path.read_bytes())), path)


if __name__ == "__main__":
    main()
