"""All tables by `schema.name`."""

from __future__ import annotations

import pyarrow as pa

from sandbox.adventureworks.orders import order_tables
from sandbox.adventureworks.small_tables import small_tables


def tables(scale: float = 1.0) -> dict[str, pa.Table]:
    """Every table, with plain Arrow types; `scale` is the factor of the order tables' rows."""
    orders = {
        f"{'Sales' if name.startswith('Sales') else 'Purchasing'}.{name}": table for name, table in order_tables(scale).items()
    }
    return {**orders, **small_tables()}
