"""Tables made from Parquet files: types, nullability and key from the file, rows loaded by DuckDB in key order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec, quote
from sandbox.sqlserver.types.temporal import UNIX_EPOCH

_SIMPLE = {
    pa.bool_(): "bit",
    pa.uint8(): "tinyint",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "float",
    pa.date32(): "date",
}
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 7}


@dataclass(frozen=True)
class ParquetTable:
    """What `--parquet SCHEMA.TABLE=FILE[:key1,key2]` says."""

    schema: str
    table: str
    file: Path
    key: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ParquetTable:
        """Parses the option. Raises ValueError that shows the form, or names the missing file."""
        name, found, rest = text.partition("=")
        schema, dot, table = name.partition(".")
        if not (found and dot and schema and table and rest):
            raise ValueError(f"{text!r} is not SCHEMA.TABLE=FILE[:key1,key2], e.g. dbo.lineitem=lineitem.parquet:l_orderkey")
        path, _, keys = rest.rpartition(":") if not Path(rest).exists() and ":" in rest else (rest, "", "")
        if not Path(path).is_file():
            raise ValueError(f"{text!r}: the file {path} does not exist")
        return cls(schema, table, Path(path).resolve(), tuple(filter(None, keys.split(","))))

    @property
    def stamp(self) -> str:
        """Changes when the file does."""
        facts = self.file.stat()
        return f"{self.schema}.{self.table} {self.file} {facts.st_size} {facts.st_mtime_ns} {','.join(self.key)}"


def create_and_fill(main: duckdb.DuckDBPyConnection, given: ParquetTable, object_id: int) -> TableSpec:
    """Makes and fills the table; it is stored in key order.

    Raises ValueError naming the column whose type has no equivalent in SQL Server, a key column that is missing or NULL,
    or a key that is not unique.
    """
    schema = pq.read_schema(given.file)
    source = f"read_parquet('{str(given.file).replace(chr(39), chr(39) * 2)}')"
    missing = [name for name in given.key if name not in schema.names]
    if missing:
        raise ValueError(f"{given.file} has no column {missing[0]}, the key given for {given.schema}.{given.table}")
    facts = _facts(main, source, schema)
    columns = [
        ColumnSpec(f.name, _declared(f, facts[f.name][1], given), null=f.name not in given.key and facts[f.name][0])
        for f in schema
    ]
    spec = TableSpec(given.schema, given.table, columns, list(given.key), object_id=object_id)
    if any(facts[name][0] for name in given.key):
        raise ValueError(f"{given.file}: a key column of {given.schema}.{given.table} holds NULL")
    listed = ", ".join(f"{c.stored} {c.kind.store}{'' if c.null else ' NOT NULL'}" for c in spec.columns)
    main.execute(f"CREATE TABLE {spec.stored} ({listed})")
    items = ", ".join(_stored(f) for f in schema)
    key = [quote(name) for name in given.key]
    order = "" if not key or stored_in_order(main, source, key) else f" ORDER BY {', '.join(key)}"
    main.execute(f"INSERT INTO {spec.stored} SELECT {items} FROM {source}{order}")
    if key and not stored_in_order(main, spec.stored, [spec.column(name).stored for name in given.key]):
        raise ValueError(f"{given.file}: {', '.join(given.key)} is not unique, so it cannot be the key")
    return spec


def stored_in_order(main: duckdb.DuckDBPyConnection, source: str, key: list[str]) -> bool:
    """Whether each row's key is above the row's before it, in stored order; so it is unique, too."""
    before = ", ".join(f"lag({name}) OVER () AS p{number}" for number, name in enumerate(key))
    above, same = [], ""
    for number, name in enumerate(key):
        above.append(f"({same}p{number} < {name})")
        same += f"p{number} = {name} AND "
    keys = ", ".join(key)
    sql = f"SELECT count(*) FROM (SELECT {keys}, {before} FROM {source}) WHERE p0 IS NOT NULL AND NOT ({' OR '.join(above)})"
    found = main.execute(sql).fetchone()
    return found is not None and found[0] == 0


def _facts(main: duckdb.DuckDBPyConnection, source: str, schema: pa.Schema) -> dict[str, tuple[bool, int]]:
    """Per column: whether it holds NULLs, and the most bytes of a value of text or bytes."""
    items = ["count(*)"]
    for f in schema:
        name = quote(f.name)
        long = f"octet_length({name})" if _is_bytes(f.type) else f"strlen({name})" if _is_text(f.type) else "0"
        items += [f"count({name})", f"coalesce(max({long}), 0)"]
    row = main.execute(f"SELECT {', '.join(items)} FROM {source}").fetchone()
    assert row is not None
    return {f.name: (row[1 + 2 * n] < row[0], int(row[2 + 2 * n])) for n, f in enumerate(schema)}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _declared(field: pa.Field, longest: int, given: ParquetTable) -> str:
    kind = field.type
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return f"{'datetimeoffset' if kind.tz else 'datetime2'}({_DIGITS[kind.unit]})"
    if pa.types.is_time(kind):
        return f"time({_DIGITS[kind.unit]})"
    # UTF-8 never has fewer bytes than UTF-16 has units
    rounded = max(-(-longest // 10) * 10, 10)
    if _is_text(kind):
        return f"nvarchar({rounded if rounded <= 4_000 else 'max'})"
    if _is_bytes(kind):
        return f"varbinary({rounded if rounded <= 8_000 else 'max'})"
    raise ValueError(f"{given.file}: column {field.name} of type {kind} has no equivalent in SQL Server")


def _stored(field: pa.Field) -> str:
    """The column's stored value (see `sql_types`)."""
    name, kind = quote(field.name), field.type
    if pa.types.is_timestamp(kind):
        ticks = f"epoch_ns({name}) // 100" if kind.unit == "ns" else f"epoch_us({name}) * 10"
        return f"CAST({ticks} + {UNIX_EPOCH} AS HUGEINT) * 4096 + 2048" if kind.tz else f"{ticks} + {UNIX_EPOCH}"
    if pa.types.is_time(kind):
        return f"epoch_us({name}) * 10"
    return name
