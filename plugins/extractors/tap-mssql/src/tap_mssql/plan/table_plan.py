"""How a table is read: its select list, its order, and the condition of each range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from singer_arrow.again import Again
from singer_arrow.bookmarks import KEY
from singer_arrow.documents import Cursor
from tap_mssql.plan import key_ranges, statements, tracking
from tap_mssql.plan.key_order import KeyOrder
from tap_mssql.plan.select_list import SelectItem, arrow_schema, row_bytes
from tap_mssql.plan.strategy import Strategy
from tap_mssql.plan.table_request import ON_DELETE, QUERY, WHERE, TableRequest
from tap_mssql.plan.tracking import Changes
from tap_mssql.plan.window import UNIQUE, Window
from tap_mssql.read.ranges import Kind, Range
from tap_mssql.read.source import LoadPlan
from tap_mssql.server.sql_types import SqlColumn


class TablePlan(LoadPlan, frozen=True, kw_only=True):
    """A LoadPlan of a SQL Server table."""

    request: TableRequest
    items: tuple[SelectItem, ...]
    strategy: Strategy
    replication_window: Window | None
    changed_since: int | None = None  # of a load of changes: the version of the one before

    @property
    def since(self) -> int:
        """The version that changes are read from."""
        assert self.changed_since is not None
        return self.changed_since

    def may_end_at(self, until: str | None) -> bool:
        """Not where that is a version that the database has not come to, as one that was restored: it would be given anew."""
        window = self.window
        if window is None or window.column is not None or window.to is None or until is None:
            return True
        return int(until) <= int(window.to)

    @property
    def key_items(self) -> tuple[SelectItem, ...]:
        """The select list of deleted rows: their keys, in the schema's order."""
        return tuple(item for item in self.items if item.name in self.key_columns)

    @property
    def columns_of_key(self) -> list[SqlColumn]:
        """The key's columns, in the request's order."""
        return [column for column in self.request.columns if column.name in self.key_columns]

    @property
    def order(self) -> KeyOrder | None:
        """The order that ranges are cut in; None for a table that is read by one query."""
        return self.strategy.order

    def condition(self, range_: Range) -> str:
        """The WHERE condition of a range; empty text for the whole table."""
        window = self._window
        if range_.kind == "nulls":
            assert window is not None
            return statements.all_of(self.request.where, window.nulls)
        if window is not None and self.strategy.by_replication_key:
            within = statements.all_of(window.predicate, self.request.where)
        else:
            within = self.whole_condition
        if range_.kind == "scan" or self.order is None:
            return within
        return statements.all_of(self.order.between(range_.lower, range_.upper), within)

    @property
    def whole_condition(self) -> str:
        """The WHERE condition of all rows of the load; empty text for the whole table."""
        window = self._window
        return statements.all_of(self._in_ranges if window is None else window.with_nulls, self.request.where)

    def cutting_condition(self, range_: Range) -> str:
        """The condition under which a range is cut: by the order alone, unless the replication key leads it."""
        assert self.order is not None
        between, window = self.order.between(range_.lower, range_.upper), self._window
        if window and self.strategy.by_replication_key:
            return statements.all_of(between, window.predicate, self.request.where)
        return statements.all_of(between, self._in_ranges, self.request.where)

    @property
    def source(self) -> str:
        """What rows are read from: the table, or its rows that changed."""
        table = self.request.table
        return table.quoted if self.changed_since is None else tracking.changed(table, self.changed_since)

    @property
    def _in_ranges(self) -> str:
        """The condition on the ranges that a repair reads; empty text for all rows."""
        column = key_ranges.cutting_column(self.request.table, self.request.key) if self.request.ranges else None
        return key_ranges.condition(column, self.request.ranges) if column else ""

    @property
    def _window(self) -> Window | None:
        """The window up to where this load, or the one it goes on with, began."""
        if self.replication_window is None or self.window is None:
            return None
        return replace(self.replication_window, to=self.window.to)


def plan_table(
    request: TableRequest,
    items: Sequence[SelectItem],
    strategy: Strategy,
    window: Window | None,
    changes: Changes | None = None,
) -> TablePlan:
    """The plan of a load. Pure."""
    key = request.key
    kinds: tuple[Kind, ...] = ("scan",) if strategy.order is None else ("keys",)
    if window and window.includes_nulls and strategy.by_replication_key:
        kinds = ("keys", "nulls")
    cursor = Cursor(window.column.name, window.from_, window.to) if window else None
    if changes:
        since = None if changes.since is None else str(changes.since)
        cursor = Cursor(None, since, str(changes.to))
        kinds = () if changes.is_idle else kinds if since is None else (*kinds, "deletes")
    return TablePlan(
        source_schema=request.table.schema,
        source_table=request.table.name,
        schema=arrow_schema(items),
        source_types={item.name: item.source_type for item in items},
        mode=request.mode,
        key_columns=key,
        kinds=kinds,
        is_in_key_order=strategy.order is not None and strategy.order.names == key,
        may_tie=strategy.may_tie(request.table),
        window=cursor,
        moves_bookmark=changes is not None or (window is not None and window.moves_bookmark),
        mark=_mark(request, window, changes),
        most_rows=changes.keys if changes else None,
        proves_key=request.merges_by_unproven_key,
        is_idle=changes is not None and changes.is_idle,
        again=_again(request, window),
        known=request.again if window and window.to is not None and window.to == request.bookmark else None,
        on_delete=request.on_delete,
        changed_since=changes.since if changes else None,
        ranges=request.ranges,
        table_rows=None if request.where else request.table.row_estimate,
        row_bytes=None if statements.unbounded(request.columns) else row_bytes(request.columns, 0),
        identity=_identity(request, items, strategy, window, changes),
        notes=(
            *([f"only rows where {request.where}"] if request.where else []),
            *request.column_notes,
            *(changes.notes if changes else ()),
            *(window.notes if window else ()),
            *(f"left out: {text}" for text in request.left_out),
        ),
        collations=request.key_collations,
        comment=request.table.description,
        comments={column.name: column.description for column in request.columns if column.description},
        request=request,
        items=tuple(items),
        strategy=strategy,
        replication_window=window,
    )


def _again(request: TableRequest, window: Window | None) -> Again | None:
    """What the next load reads once more: with a key what may tie or has no value, or what lies within `lookback`."""
    if window is None or not window.moves_bookmark:
        return None
    column, is_keyed = window.column, bool(request.key)
    return Again(
        column.name,
        ties=is_keyed and column.type not in UNIQUE,
        nulls=is_keyed and column.nullable,
        everything=bool(request.lookback),
        top=window.to,
    )


def _mark(request: TableRequest, window: Window | None, changes: Changes | None) -> dict[str, Any]:
    """What the bookmark holds besides the end of the window."""
    mark = changes.mark if changes else {**window.mark, KEY: list(request.key)} if window else {}
    said = {
        WHERE: request.where,
        QUERY: request.table.fingerprint,
        ON_DELETE: "mark" if changes and request.on_delete == "mark" else "",
    }
    return mark | {name: value for name, value in said.items() if value}


def _identity(
    request: TableRequest, items: Sequence[SelectItem], strategy: Strategy, window: Window | None, changes: Changes | None
) -> dict[str, Any]:
    columns = [[i.name, i.source_type, i.expression, "" if i.field.nullable else "NOT NULL"] for i in items]
    return {
        "the table": request.table.object_id,
        "its query": request.table.fingerprint,
        "its columns or their selection": columns,
        "its key": list(request.key),
        "the order it is read in": [[c.name, c.collation] for c in strategy.order.columns] if strategy.order else [],
        "its where": request.where,
        "the load's mode": [request.mode, *map(str, request.ranges)] if request.ranges else request.mode,
        "the version that changes are read from": changes.since if changes else None,
        "the version since which its changes are tracked": changes.mark["tracked_since"] if changes else None,
        "the replication key's window": {**window.identity, "end_value": request.end_value} if window else None,
    }
