"""How many rows and bytes tables hold: counted, and estimated from a few rows."""

from __future__ import annotations

import duckdb

from sandbox.sqlserver.system.catalog_tables import append
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec
from sandbox.sqlserver.types.sql_types import BINARIES, MAX, STRINGS, WIDE, max_length

_SAMPLE = 16  # rows
_ROW = 9  # bytes of a row beside its columns
_IN_ROW = 8_000  # bytes; a longer value lies outside of its row


def count_sizes(cursor: duckdb.DuckDBPyConnection, specs: list[TableSpec]) -> None:
    """Writes mssys.sizes for these tables."""
    if not specs:
        return
    found = cursor.execute("SELECT table_name, estimated_size FROM duckdb_tables() WHERE schema_name = 'data'").fetchall()
    filled = {name for name, rows in found if rows}
    rows = []
    for spec in specs:
        counted, row, lob = _measure(cursor, spec) if f"t{spec.object_id}" in filled else (0, 0, 0)
        rows.append({"object_id": spec.object_id, "counted": counted, "row_bytes": row, "lob_bytes": lob})
    cursor.execute(f"DELETE FROM mssys.sizes WHERE object_id IN ({', '.join(str(spec.object_id) for spec in specs)})")
    append(cursor, "sizes", rows)


def _measure(cursor: duckdb.DuckDBPyConnection, spec: TableSpec) -> tuple[int, int, int]:
    """Rows, bytes of the rows and bytes of values outside of them, in all."""
    counted = cursor.execute(f"SELECT count(*) FROM {spec.stored}").fetchone()
    rows = int(counted[0]) if counted else 0
    if not rows:
        return 0, 0, 0
    varying = [column for column in spec.columns if _varies(column)]
    fixed = _ROW + sum(max(max_length(column.kind), 0) for column in spec.columns if not _varies(column))
    places = ", ".join(str(rows * n // _SAMPLE) for n in range(_SAMPLE))
    items = ", ".join(f"avg({_bytes(column)})" for column in varying)
    sampled = cursor.execute(f"SELECT {items} FROM {spec.stored} WHERE rowid IN ({places})").fetchone() if varying else ()
    widths = [float(width or 0) for width in sampled or ()]
    inside = fixed + sum(width + 2 for width in widths if width <= _IN_ROW)
    outside = sum(width for width in widths if width > _IN_ROW)
    return rows, int(rows * inside), int(rows * outside)


def _varies(column: ColumnSpec) -> bool:
    kind = column.kind
    fixed = kind.name in ("char", "nchar", "binary", "rowversion")
    return kind.length == MAX or (not fixed and (kind.name in STRINGS or kind.name in BINARIES or kind.name == "sql_variant"))


def _bytes(column: ColumnSpec) -> str:
    if column.kind.store == "BLOB":
        return f"octet_length({column.stored})"
    return f"length({column.stored}) * 2" if column.kind.name in WIDE else f"strlen({column.stored})"
