"""What the sources hold, asked of them without the project's own code, and whether Delta holds the same."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Any

import mssql_python
import pyarrow as pa
import pyarrow.compute as pc
from chain_kit import SCALE, Pipeline

from sandbox.adventureworks.orders import order_tables
from sandbox.launch import Counterpart

AS_TEXT = {"hierarchyid": "{}.ToString()", "geography": "{}.ToString()", "sql_variant": "CONVERT(nvarchar(max), {})"}


def connect(server: Counterpart) -> Any:
    parts = {
        "SERVER": f"127.0.0.1,{server.facts['port']}", "DATABASE": server.facts["database"], "UID": "reader",
        "PWD": server.secret, "Encrypt": "yes", "TrustServerCertificate": "yes",
    }  # fmt: skip
    return mssql_python.connect(";".join(f"{name}={value}" for name, value in parts.items()), autocommit=True)


def execute(server: Counterpart, sql: str) -> None:
    connection = connect(server)
    connection.cursor().execute(sql)
    connection.close()


def rows(server: Counterpart, sql: str) -> list[Any]:
    connection = connect(server)
    found = list(connection.cursor().execute(sql).fetchall())
    connection.close()
    return found


def arrow(server: Counterpart, sql: str) -> pa.Table:
    """On a connection of its own: a reader that is garbage-collected closes what its cursor runs by then."""
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute(sql)
    with cursor.arrow_reader(batch_size=65_536) as reader:
        table = pa.Table.from_batches(list(reader), reader.schema)
    connection.close()
    return table


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def source_tables(server: Counterpart) -> dict[str, pa.Table]:
    """Every table and view of SQL Server, by the name it has in Delta."""
    listed: dict[tuple[str, str], list[str]] = {}
    for schema, table, column, kind in rows(
        server,
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS "
        "ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
    ):
        item = AS_TEXT.get(kind, "{}").format(f"[{column}]")
        listed.setdefault((schema, table), []).append(f"{item} AS [{column}]")
    return {
        f"{snake(schema)}_{snake(table)}": arrow(server, f"SELECT {', '.join(items)} FROM [{schema}].[{table}]")
        for (schema, table), items in listed.items()
    }


@cache
def api_tables() -> dict[str, pa.Table]:
    """What the API serves, by the name it has in Delta."""
    return {f"api_{snake(name)}": table for name, table in order_tables(SCALE).items()}


def assert_delta_is_the_source(pipeline: Pipeline) -> None:
    """Same tables, same rows, same values in every column; and no load twice in the ledger."""
    expected = source_tables(pipeline.sandbox.sqlserver) | api_tables()
    assert pipeline.tables() == set(expected)
    for name, table in expected.items():
        assert_same(name, table, pipeline.table(name))
    loads = [row["load_id"] for row in pipeline.ledger()]
    assert len(loads) == len(set(loads))


def assert_same(name: str, expected: pa.Table, found: pa.Table) -> None:
    renamed = expected.rename_columns([re.sub(r"[ ,;{}()\n\t=]", "_", column) for column in expected.column_names])
    assert found.column_names == renamed.column_names, name
    assert found.num_rows == renamed.num_rows, name
    left = pa.table({c: as_delta(renamed.column(c), found.schema.field(c).type) for c in found.column_names})
    order = [(c, "ascending") for c in found.column_names]
    left, right = left.sort_by(order), found.sort_by(order)
    for column in found.column_names:
        same = left.column(column).combine_chunks().equals(right.column(column).combine_chunks())
        assert same, f"{name}.{column}: {left.column(column)[:5]} at the source, {right.column(column)[:5]} in Delta"


def as_delta(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of the source as docs/contracts.md has it in Delta; digits below a microsecond are cut."""
    if pa.types.is_time(column.type) and pa.types.is_string(kind):
        unit = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[column.type.unit]
        integers = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64()).to_pylist()
        return pa.chunked_array([pa.array([None if each is None else _clock(each * unit) for each in integers], kind)])
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = pc.floor_temporal(column, unit="microsecond")
    return column.cast(kind, safe=False)


def _clock(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest // 100:07d}"


def total(column: pa.ChunkedArray) -> Decimal:
    return sum((each for each in column.to_pylist() if each is not None), Decimal(0))
