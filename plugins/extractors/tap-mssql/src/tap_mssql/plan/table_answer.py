"""A query for rows that says of itself where it ended and how many rows it sent, so that nobody has to count them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow.errors import ValueRefused
from tap_mssql.errors import ReadFailed
from tap_mssql.plan import statements, tracking
from tap_mssql.plan.select_list import in_declared_types
from tap_mssql.plan.table_plan import TablePlan
from tap_mssql.read.ranges import Bound, Range
from tap_mssql.read.source import Answer
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import SqlColumn, quote

# Types of which the value that arrives has the text that `SqlColumn.bookmark_expression` prints.
_AS_THEY_COME = frozenset(
    {"tinyint", "smallint", "int", "bigint", "decimal", "numeric", "date", "char", "varchar", "nchar", "nvarchar"}
)


class TableAnswer(Answer):
    """The rows of a range of a table (read/source.py).

    Behind the declared columns the server sends what tells of the rows: the text of those columns of their order that does not
    follow from what arrives, and a bit for each value that is finer than Arrow holds.
    """

    def __init__(self, session: Session, plan: TablePlan, range_: Range, batch_rows: int, most: int | None) -> None:
        self.last: Bound | None = None
        self.sent: int | None = None
        self.finer: dict[str, int] = {}
        self._stream = plan.request.stream
        is_keyed, is_of_rows = range_.kind == "keys", range_.kind != "deletes"
        self._items = plan.items if is_of_rows else plan.key_items
        expressions = [item.expression for item in self._items]
        self._ends = _ends(plan.order.columns, expressions) if is_keyed and plan.order else []
        finer = statements.finer_than_a_microsecond(plan.request.columns) if is_of_rows else []
        most_bits = statements.MOST_BITS
        self._finer = [finer[at : at + most_bits] for at in range(0, len(finer), most_bits)]
        self._bits = len(expressions)
        expressions += map(statements.finer_bits, self._finer)
        table, where = plan.request.table, plan.request.where
        if is_of_rows:
            sql = statements.rows(plan.source, expressions, plan.condition(range_), plan.order if is_keyed else None, most)
        else:
            sql = tracking.deleted(table, plan.since, expressions, where)
        self._batches = session.batches(sql, statements.ROWS_SENT, batch_rows, may_scan=not is_keyed)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, in the declared types. Raises ReadFailed naming the column whose values do not fit its type."""
        while True:
            try:
                batch = next(self._batches)
            except StopIteration as end:
                self.sent = int(end.value[0])
                return
            if self._ends:
                self.last = tuple(_text(batch.column(place)[-1].as_py()) for place in self._ends)
            for place, columns in enumerate(self._finer, self._bits):
                self._count_finer(columns, batch.column(place))
            try:
                yield in_declared_types(batch.columns[: len(self._items)], self._items)
            except ValueRefused as error:
                action = "deselect the column to read the others"
                raise ReadFailed(f"stream {self._stream}, {error.what}", action=action) from error

    def close(self) -> None:
        """Stops the statement at the server."""
        self._batches.close()

    def _count_finer(self, columns: Sequence[SqlColumn], bits: pa.Array) -> None:
        for number, column in enumerate(columns):
            found = pc.sum(pc.bit_wise_and(bits, pa.scalar(1 << number, pa.int64()))).as_py() >> number
            if found:
                self.finer[column.name] = self.finer.get(column.name, 0) + found


def _ends(columns: Sequence[SqlColumn], expressions: list[str]) -> list[int]:
    """Where in a row the texts of its place in the order are; those that no column gives are selected beside them."""
    places = []
    for column in columns:
        expression = column.expression
        if column.type not in _AS_THEY_COME or expression not in expressions:
            expression = column.bookmark_expression(quote(column.name))
            expressions.append(expression)
        places.append(expressions.index(expression))
    return places


def _text(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
