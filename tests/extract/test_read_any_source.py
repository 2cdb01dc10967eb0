"""Reading knows no database: a DuckDB table goes through the same ranges, spool, resume and proof as a SQL Server's."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from singer_arrow.documents import Cursor
from tap_mssql.errors import Drifted, ReadFailed
from tap_mssql.read.limits import ReadLimits
from tap_mssql.read.load import Load
from tap_mssql.read.ranges import Bound, Range
from tap_mssql.read.scheduler import Scheduler
from tap_mssql.read.source import Answer, LoadPlan, Source
from tap_mssql.read.spool import Spool

ROWS = 5_000
LIMITS = ReadLimits(readers=2, range_rows=700)


@dataclass(frozen=True)
class Request:
    """A LoadRequest of a table with a key column `id`."""

    stream: str
    estimated_rows: int = 0
    stored_row_bytes: int = 0
    declared_row_bytes: int = 8
    is_incremental: bool = False


@dataclass
class DuckSource(Source):
    """A Source of DuckDB tables. `fails_at`: the query for rows, counted from 1, that breaks; `lost`: rows it leaves out.

    `counts`: it says how many rows it sent.
    """

    database: duckdb.DuckDBPyConnection
    fails_at: int = 0
    lost: int = 0
    counts: bool = True
    queries: list[str] = field(default_factory=list)
    isolation = "snapshot of the whole database"
    sees_one_state = True

    def open(self, request: Request) -> LoadPlan:
        schema = self.database.sql(f"SELECT * FROM {request.stream}").to_arrow_table().schema
        return LoadPlan(
            source_schema="main", source_table=request.stream, schema=schema, source_types={f.name: str(f.type) for f in schema},
            mode="overwrite", key_columns=("id",), is_in_key_order=True, row_bytes=100,
            identity={"its columns": str(schema)},
        )  # fmt: skip

    def version(self, plan: LoadPlan, known: str) -> str:
        columns = ", ".join(name for name, *_ in self.database.execute(f"DESCRIBE {plan.source_table}").fetchall())
        if known and columns != known:
            raise Drifted(
                plan.source_table, plan.source_table, [f"its columns are {columns}"], lambda: Request(plan.source_table)
            )
        return columns

    def count(self, plan: LoadPlan, range_: Range) -> int:
        found = self.database.execute(f"SELECT count(*) FROM {plan.source_table}{where(range_)}").fetchone()
        assert found
        return int(found[0])

    def boundary(self, plan: LoadPlan, range_: Range, rows: int) -> Bound | None:
        sql = f"SELECT id FROM {plan.source_table}{where(range_)} ORDER BY id LIMIT 1 OFFSET {rows - 1}"
        found = self.database.execute(sql).fetchone()
        return None if found is None else (str(found[0]),)

    def rows(self, plan: LoadPlan, range_: Range, batch_rows: int, most: int | None = None) -> Answer:
        self.queries.append(str(range_))
        if len(self.queries) == self.fails_at:
            raise ReadFailed(f"stream {plan.source_table}, {range_}: the disk of the database broke", action="repair it")
        limit = f" LIMIT {most}" if most else ""
        sql = f"SELECT {', '.join(plan.schema.names)} FROM {plan.source_table}{where(range_)} ORDER BY id{limit}"
        rows = self.database.sql(sql).to_arrow_table().cast(plan.schema)
        return DuckAnswer(rows.slice(self.lost), batch_rows, rows.num_rows if self.counts else None)


class DuckAnswer(Answer):
    """Rows that were fetched; `sent` as the source says."""

    def __init__(self, rows: pa.Table, batch_rows: int, sent: int | None) -> None:
        self.rows, self.batch_rows, self.sent, self.finer = rows, batch_rows, sent, {}
        self.last: Bound | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.rows.to_batches(self.batch_rows):
            self.last = (str(batch["id"][-1]),)
            yield batch

    def close(self) -> None:
        pass


def where(range_: Range) -> str:
    lower = "" if range_.lower is None else f" AND id > {range_.lower[0]}"
    upper = "" if range_.upper is None else f" AND id <= {range_.upper[0]}"
    return f" WHERE true{lower}{upper}"


@pytest.fixture
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for stream in ("first", "second"):
        connection.execute(f"CREATE TABLE {stream} AS SELECT i AS id, 'row ' || i AS t FROM range({ROWS}) AS r(i)")
    return connection


def read(
    root: Path, database: duckdb.DuckDBPyConnection, *streams: str, limits: ReadLimits = LIMITS, **faults: Any
) -> tuple[list[Load], list[DuckSource]]:
    """Reads streams with as many connections as the limits allow; the loads as they ended, and the sources."""
    sources = [DuckSource(database.cursor(), **faults) for _ in range(limits.readers)]
    loads = [Load(Request(stream), Spool(root, stream), "run") for stream in streams]
    scheduler = Scheduler(loads, sources, limits)
    with scheduler.running():
        return list(scheduler.ended()), sources


def table(load: Load) -> pa.Table:
    """The rows that the load document names."""
    [document] = load.folder.glob("*.load.json")
    return pa.concat_tables(pq.read_table(load.folder / f["path"]) for f in json.loads(document.read_text())["files"])


def test_streams_are_read_in_ranges_side_by_side_and_proven(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    loads, _ = read(tmp_path, database, "first", "second")
    assert {load.stream for load in loads} == {"first", "second"}
    for load in loads:
        assert load.error is None and load.document is not None
        assert load.document.rows == load.document.source_rows == ROWS
        assert len(load.document.files) == -(-ROWS // LIMITS.range_rows)
        assert load.document.columns["id"].sum == str(sum(range(ROWS)))
        assert table(load).equals(database.sql(f"SELECT * FROM {load.stream} ORDER BY id").to_arrow_table())
        assert dt.datetime.fromisoformat(load.document.started_at) <= dt.datetime.fromisoformat(load.document.ended_at)


@pytest.mark.parametrize(
    ("window", "is_part"),
    [(None, False), (Cursor(None, None, "7"), False), (Cursor(None, "3", "7"), True), (Cursor("id", None, "7"), True)],
    ids=["whole", "whole as of a version", "changes", "by replication key"],
)
def test_whether_a_load_is_of_every_row_and_would_show_an_emptied_table(window: Cursor | None, is_part: bool) -> None:
    plan = LoadPlan(
        source_schema="main", source_table="t", schema=pa.schema([]), source_types={}, mode="overwrite", key_columns=(),
        window=window,
    )  # fmt: skip
    assert plan.is_part is is_part


def test_a_later_run_reads_only_what_a_broken_one_left(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    alone = ReadLimits(readers=1, range_rows=700)
    [broken], _ = read(tmp_path, database, "first", limits=alone, fails_at=4)
    assert "the disk of the database broke" in str(broken.error) and broken.document is None
    [load], [source] = read(tmp_path, database, "first", limits=alone)
    assert load.load_id == broken.load_id and len(source.queries) == -(-ROWS // 700) - 3
    assert table(load)["id"].to_pylist() == list(range(ROWS))
    assert any("3 ranges with 2,100 rows" in note for note in load.document.notes)


def test_ranges_that_changed_since_are_read_again(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    alone = ReadLimits(readers=1, range_rows=700)
    read(tmp_path, database, "first", limits=alone, fails_at=4)
    database.execute("DELETE FROM first WHERE id = 5")
    [load], _ = read(tmp_path, database, "first", limits=alone)
    assert table(load)["id"].to_pylist() == [i for i in range(ROWS) if i != 5]


@pytest.mark.parametrize(
    ("counts", "said"),
    [(True, "the source sent 700 rows; 699 arrived"), (False, "5000 rows, then 5000; 699 arrived")],
    ids=["it says how many it sent", "it is asked"],
)
def test_rows_that_the_source_counts_and_does_not_bring_end_the_load(
    tmp_path: Path, database: duckdb.DuckDBPyConnection, counts: bool, said: str
) -> None:
    [load], _ = read(tmp_path, database, "first", lost=1, counts=counts)
    assert load.document is None and said in str(load.error)
    assert not list(tmp_path.rglob("*.load.json"))


def test_a_table_that_changes_begins_again_where_that_is_allowed(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    class Changing(DuckSource):
        def rows(self, plan: LoadPlan, range_: Range, batch_rows: int, most: int | None = None) -> Answer:
            if len(self.queries) == 2:
                self.database.execute("ALTER TABLE first ADD COLUMN more INTEGER DEFAULT 7")
            return super().rows(plan, range_, batch_rows, most)

    for restarts in (0, 1):
        database.execute("ALTER TABLE first DROP COLUMN IF EXISTS more")
        load = Load(Request("first"), Spool(tmp_path / str(restarts), "first"), "run")
        limits = ReadLimits(readers=1, range_rows=700, restarts=restarts)
        scheduler = Scheduler([load], [Changing(database.cursor())], limits)
        with scheduler.running():
            list(scheduler.ended())
        if restarts:
            assert load.error is None and set(table(load)["more"].to_pylist()) == {7}
        else:
            assert isinstance(load.error, Drifted) and load.document is None


def test_reading_imports_nothing_of_sql_server() -> None:
    code = (
        "import sys, tap_mssql.read.scheduler; "
        "print([m for m in sys.modules if m.startswith(('tap_mssql.server', 'tap_mssql.plan', 'tap_mssql.config', 'mssql'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
