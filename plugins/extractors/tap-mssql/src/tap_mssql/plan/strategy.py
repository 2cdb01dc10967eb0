"""How a table is read: in ranges of which order, or in one go. Pure; `--plan` shows it, loads use it."""

from __future__ import annotations

from msgspec import Struct, field

from tap_mssql.plan.key_order import KeyOrder
from tap_mssql.plan.window import UNIQUE
from tap_mssql.server.sql_types import SqlColumn
from tap_mssql.server.table import Table

AS_TEXT = frozenset({"sql_variant", "hierarchyid", "geography", "geometry", "xml"})


class Strategy(Struct, frozen=True):
    """`order` is None for a table that is read in one go; `by_replication_key`: the replication key leads the order."""

    order: KeyOrder | None
    by_replication_key: bool = False
    warnings: list[str] = field(default_factory=list)

    def may_tie(self, table: Table) -> bool:
        """Whether rows may be equal in the order: it lacks columns of the key, and none of its own is unique by itself."""
        if self.order is None or any(column.type in UNIQUE for column in self.order.columns):
            return False
        return not table.key or not set(table.key) <= set(self.order.names)


def choose(table: Table, replication_key: SqlColumn | None) -> Strategy:
    """The order that an index of the table gives for nothing, so that neither a range nor its end costs a sort.

    With a replication key: an index that it leads, else the table's key, with the window as a condition on each range.
    """
    warnings: list[str] = []
    if replication_key is not None:
        name = replication_key.name
        if any(index[:1] == (name,) for index in table.indexes):
            tie = tuple(c for c in _columns(table, table.key) if c.name != replication_key.name)
            return Strategy(
                KeyOrder((replication_key, *tie) if all(c.orderable for c in tie) else (replication_key,)), True, warnings
            )
        warnings.append(f"no index begins with the replication key {name}: each load scans the whole table")
    key = _columns(table, table.key)
    if table.is_view or not key:
        what = "a query of your own" if table.sql else "a view" if table.is_view else "no key"
        return Strategy(None, False, [*warnings, f"{what}: read by one query, however long it takes; a broken one starts again"])
    unordered = [f"{c.name} ({c.type})" for c in key if not c.orderable]
    if unordered:
        return Strategy(
            None, False, [*warnings, f"key column {', '.join(unordered)} gives no order to cut ranges by: read by one query"]
        )
    return Strategy(KeyOrder(key), False, warnings)


def _columns(table: Table, names: tuple[str, ...]) -> tuple[SqlColumn, ...]:
    found = (table.column(name) for name in names)
    return tuple(c for c in found if c is not None)
