"""What a read asks of the server: one look at each row, whatever the key and wherever ranges end."""

from __future__ import annotations

import datetime as dt
import re
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mssql_kit import Tap, equal, execute, good, select

from sandbox.launch import Counterpart, counterpart
from tap_mssql.plan import statements
from tap_mssql.read.limits import RowRate

ROWS = 12_000
RANGE = 1_000
EXTRA = RANGE  # rows that a few small questions look at: what is in a table at the end of its load, and the like
KEYS = {  # the type of a key → the SQL of the nth one, in no order of n
    "int": "CONVERT(int, {n} * 7 - 4000)",
    "decimal(20,6)": "CONVERT(decimal(20,6), {n}) / 7 - 500",
    "date": "DATEADD(day, {n}, CONVERT(date, '0001-01-01'))",
    "datetime2(7)": "CONVERT(datetime2(7), '2024-02-29T23:59:59.' + CONVERT(varchar(7), 1000000 + {n} * 3))",
    "datetimeoffset(7)": "CONVERT(datetimeoffset(7), CONVERT(datetime2(7), "
    "'2024-02-29T23:59:59.' + CONVERT(varchar(7), 1000000 + {n} * 3)))",
    "float": "CONVERT(float, {n}) / 3",
    "uniqueidentifier": "CONVERT(uniqueidentifier, CONVERT(varchar(36), u))",
    "nvarchar(40)": "N'ação ''' + CONVERT(nvarchar(20), {n}) + N' 🚚 '",
    "varbinary(16)": "CONVERT(varbinary(16), CONVERT(bigint, {n}) * 99991)",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("gentle")
    numbers = pa.table(
        {
            "id": pa.array(range(ROWS), pa.int32()),
            "v": pa.array([Decimal(n).scaleb(-2) for n in range(ROWS)], pa.decimal128(10, 2)),
            "u": [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(n))) for n in range(ROWS)],
        }
    )
    pq.write_table(numbers, folder / "numbers.parquet")
    options = ["--only-parquet", "--count-rows", "--parquet", f"big.One={folder / 'numbers.parquet'}:id"]
    options += ["--parquet", f"big.Bare={folder / 'numbers.parquet'}"]
    long = pa.array(["x" * 4_001, *map(str, range(1, ROWS))])  # too long for any nvarchar but (max)
    pq.write_table(numbers.select(["id"]).append_column("t", long), folder / "long.parquet")
    options += ["--parquet", f"big.Long={folder / 'long.parquet'}:id"]
    with counterpart("sqlserver", folder / "server", *options) as running:
        yield running


def looked_at(server: Counterpart) -> int:
    """Rows that statements on tables have looked at so far, as the server counts them."""
    sql = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Rows looked at'"
    return int(select(server, sql).column(0)[0].as_py())


@pytest.mark.parametrize("table", ["One", "Bare", "Long"])
@pytest.mark.parametrize("snapshot", ["always", "never"])
def test_the_server_looks_at_each_row_as_often_as_the_plan_and_the_load_say(
    snapshot: str, table: str, server: Counterpart, tmp_path: Path
) -> None:
    """Once; again to count where two statements may see two states, and to find the longest value where any may be long."""
    tap = Tap(server, tmp_path)
    settings = {"streams": [f"big.{table}"], "snapshot": snapshot, "range_rows": RANGE, "max_parallel": 1}
    looks = 1 + (snapshot == "never") + (table == "Long")
    steps, _ = tap.plan(**settings)
    assert steps[f"big-{table}"]["looks"] == looks
    before = looked_at(server)
    ran = good(tap.run(**settings))
    document = ran.document(f"big-{table}")
    assert ran.table(f"big-{table}").num_rows == document["source_rows"] == ROWS
    found = looked_at(server) - before
    # DuckDB reads 2,048 rows where the longest of 1,000 are asked for.
    assert looks * ROWS <= found <= looks * ROWS + EXTRA + (ROWS // RANGE * 2_048 if table == "Long" else 0)
    [said] = [note for note in document["notes"] if "looked at" in note]
    assert looks * ROWS <= int(re.sub(r"\D", "", said)) <= looks * ROWS + RANGE


def test_where_rows_may_tie_the_end_of_a_range_costs_a_look(server: Counterpart, tmp_path: Path) -> None:
    execute(
        server,
        "CREATE TABLE dbo.Tied (at int NOT NULL, v int NULL)",
        "CREATE INDEX IX_Tied ON dbo.Tied (at)",
        "INSERT INTO dbo.Tied SELECT id / 7, id FROM big.One WHERE id < 5000",
    )
    tap = Tap(server, tmp_path)
    settings = {"streams": ["dbo.Tied"], "stream_options": {"dbo.Tied": {"replication_key": "at"}}, "snapshot": "always"}
    steps, _ = tap.plan(**settings)
    assert steps["dbo-Tied"]["looks"] == 2
    ran = good(tap.run(**settings, range_rows=RANGE, max_parallel=1))
    rows = ran.table("dbo-Tied").num_rows
    [said] = [note for note in ran.document("dbo-Tied")["notes"] if "looked at" in note]
    assert rows > 4_900 and 2 * rows <= int(re.sub(r"\D", "", said)) <= 2 * rows + RANGE


@pytest.mark.parametrize("kind", KEYS)
def test_a_range_ends_where_its_rows_end_whatever_the_key(kind: str, server: Counterpart, tmp_path: Path) -> None:
    name = "K_" + "".join(c if c.isalnum() else "_" for c in kind)
    execute(
        server,
        f"CREATE TABLE dbo.{name} (k {kind} NOT NULL PRIMARY KEY, id int NOT NULL)",
        f"INSERT INTO dbo.{name} SELECT {KEYS[kind].format(n='id')}, id FROM big.One WHERE id < 2500",
    )
    before = looked_at(server)
    ran = good(Tap(server, tmp_path).run(streams=[f"dbo.{name}"], snapshot="always", range_rows=400, max_parallel=1))
    assert looked_at(server) - before <= 2_500 + 400
    equal(ran.table(f"dbo-{name}"), select(server, f"SELECT * FROM dbo.{name} ORDER BY k"))
    assert len(ran.document(f"dbo-{name}")["files"]) == 7


@pytest.mark.parametrize("bits", [62, 1])
def test_what_is_finer_than_a_microsecond_is_counted_without_another_look(
    bits: int, server: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many columns one number has bits for."""
    monkeypatch.setattr(statements, "MOST_BITS", bits)
    execute(
        server,
        "DROP TABLE IF EXISTS dbo.Finer",
        "CREATE TABLE dbo.Finer (id int NOT NULL PRIMARY KEY, a datetime2(7), b datetimeoffset(7), c datetime2(6))",
        "INSERT INTO dbo.Finer SELECT id, CONVERT(datetime2(7), '2024-01-01T00:00:00.000000' + CONVERT(varchar(1), id % 3)), "
        "CASE WHEN id % 2 = 0 THEN CONVERT(datetimeoffset(7), '2024-01-01T00:00:00.0000001+00:00') END, NULL "
        "FROM big.One WHERE id < 3000",
    )
    before = looked_at(server)
    ran = good(Tap(server, tmp_path).read(streams=["dbo.Finer"], snapshot="always", range_rows=800, max_parallel=1))
    assert looked_at(server) - before <= 3_000 + 800
    notes = "\n".join(ran.document("dbo-Finer")["notes"])
    assert "a: 2000 values had a digit finer" in notes and "b: 1500 values had a digit finer" in notes
    assert "c: " not in notes
    assert ran.table("dbo-Finer").column("a")[1].as_py() == dt.datetime(2024, 1, 1)


def test_rows_that_were_booked_and_did_not_come_hold_no_other_table_back() -> None:
    stopping = threading.Event()
    rate = RowRate(1, stopping)
    rate.wait(100_000)  # the first turn is now; the next one would be tomorrow
    rate.give_back(99_999)
    next_turn = threading.Thread(target=rate.wait, args=(1,), daemon=True)
    next_turn.start()
    next_turn.join(30)
    has_come = not next_turn.is_alive()
    stopping.set()
    assert has_come
