"""How many rows statements looked at: what a real server's execution plan calls the rows read by its scans and seeks."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from sandbox.sqlserver.sql.key_ranges import needless_order
from sandbox.sqlserver.system.catalog import Catalog

_PROFILE = {"OPERATOR_TYPE": "true", "OPERATOR_CARDINALITY": "true"}


class LookedAt:
    """Counts for a server that was asked to: rows that came out of the scans of tables.

    Conditions are taken for conditions on an index: rows that they leave out were not looked at.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._lock = threading.Lock()

    def prepare(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Lets DuckDB profile what the cursor runs, and count the rows of a whole table rather than know their number."""
        cursor.execute("SET disabled_optimizers = 'statistics_propagation'")
        cursor.execute("SET enable_profiling = 'no_output'")
        cursor.execute(f"SET custom_profiling_settings = '{json.dumps(_PROFILE)}'")

    def counted(
        self, batches: Iterator[pa.RecordBatch], cursor: duckdb.DuckDBPyConnection, skipped: int | None
    ) -> Generator[pa.RecordBatch]:
        """The batches of the statement that the cursor runs; its rows count when it ends, however it does.

        `skipped`: see `skipped_in_order`; DuckDB reads on behind the last row that is asked for, or sorts them all.
        """
        rows = 0
        try:
            for batch in batches:
                rows += batch.num_rows
                yield batch
        finally:
            if isinstance(batches, Generator):
                batches.close()
            scanned = _scanned(json.loads(cursor.get_profiling_information("json")))
            with self._lock:
                self.rows += scanned if skipped is None else skipped + rows


def skipped_in_order(node: exp.Query, catalog: Catalog) -> int | None:
    """Rows in front of the first one that is asked for, of a statement with TOP or FETCH on one table that an index has in order.

    Its conditions are taken for conditions on the index. None for any other statement.
    """
    first, order, source = node.args.get("limit"), node.args.get("order"), node.args.get("from_")
    table = source.this if source is not None else None
    if first is None or order is None or node.args.get("joins") or not isinstance(table, exp.Table):
        return None
    spec = catalog.spec(table.db, table.name) if table.db.lower() not in ("sys", "information_schema") else None
    paths = [spec.key, *spec.unique, *(index.columns for index in spec.indexes)] if spec is not None else []
    if not any(path and needless_order(order, path) for path in paths):
        return None
    offset = node.args.get("offset")
    return int(offset.expression.name) if offset is not None else 0


def _scanned(node: dict[str, Any]) -> int:
    own = node.get("operator_cardinality", 0) if node.get("operator_type") == "TABLE_SCAN" else 0
    return int(own) + sum(map(_scanned, node.get("children", [])))
