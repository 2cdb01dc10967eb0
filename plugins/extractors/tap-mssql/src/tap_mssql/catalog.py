"""Discovery: one query over sys.*, and what it says as tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tap_mssql.columns import SqlColumn, quote

QUERY = """
SELECT s.name, o.name, RTRIM(o.type), c.column_id, c.name,
       COALESCE(b.name, t.name), c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed,
       c.collation_name,
       i.index_id, i.is_primary_key, ic.key_ordinal, r.row_estimate
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
JOIN sys.types AS t ON t.user_type_id = c.user_type_id
LEFT JOIN sys.types AS b ON b.user_type_id = t.system_type_id AND t.is_user_defined = 1 AND t.is_assembly_type = 0
LEFT JOIN sys.index_columns AS ic ON ic.object_id = c.object_id AND ic.column_id = c.column_id AND ic.key_ordinal > 0
LEFT JOIN sys.indexes AS i ON i.object_id = ic.object_id AND i.index_id = ic.index_id
     AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0
LEFT JOIN (SELECT object_id, SUM(rows) AS row_estimate FROM sys.partitions WHERE index_id IN (0, 1) GROUP BY object_id) AS r
     ON r.object_id = o.object_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name, c.column_id
"""


@dataclass(frozen=True)
class Table:
    """A table or view: `key` is its primary key, else its best unique index without nullable columns, else empty."""

    schema: str
    name: str
    is_view: bool
    columns: tuple[SqlColumn, ...]
    key: tuple[str, ...]
    row_estimate: int | None
    has_primary_key: bool = False

    @property
    def stream(self) -> str:
        """The stream's name, as the published tap-mssql builds it."""
        return f"{self.schema}-{self.name}"

    @property
    def quoted(self) -> str:
        """The name in SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def column(self, name: str) -> SqlColumn | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass
class _Rows:
    columns: dict[int, SqlColumn] = field(default_factory=dict)
    indexes: dict[int, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    primary: int | None = None
    view: bool = False
    estimate: int | None = None


def tables(rows: Iterable[Sequence[Any]]) -> list[Table]:
    """The tables that the rows of QUERY describe, in their order."""
    found: dict[tuple[str, str], _Rows] = {}
    for row in rows:
        schema, name, kind, ordinal, column, type_, length, precision, scale, nullable, identity, computed, collation = row[:13]
        index, primary, key_ordinal, estimate = row[13:]
        table = found.setdefault((schema, name), _Rows())
        table.view, table.estimate = kind.strip() == "V", estimate
        table.columns[ordinal] = SqlColumn(
            column, type_, length, precision, scale, bool(nullable), bool(identity), bool(computed), collation
        )
        if index is not None:
            table.indexes[index][key_ordinal] = column
            table.primary = index if primary else table.primary
    return [_table(schema, name, rows_of) for (schema, name), rows_of in found.items()]


def _table(schema: str, name: str, rows: _Rows) -> Table:
    columns = tuple(rows.columns[i] for i in sorted(rows.columns))
    estimate = None if rows.view or rows.estimate is None else int(rows.estimate)
    return Table(schema, name, rows.view, columns, _key(rows, columns), estimate, rows.primary is not None)


def _key(rows: _Rows, columns: tuple[SqlColumn, ...]) -> tuple[str, ...]:
    if rows.primary is not None:
        return _in_order(rows.indexes[rows.primary])
    nullable = {c.name for c in columns if c.nullable}
    keys = [_in_order(i) for _, i in sorted(rows.indexes.items()) if not nullable & set(i.values())]
    return min(keys, key=len, default=())


def _in_order(index: dict[int, str]) -> tuple[str, ...]:
    return tuple(index[i] for i in sorted(index))
