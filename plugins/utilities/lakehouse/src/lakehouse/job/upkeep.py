"""Upkeep of tables, where the order asks for it: clustered by key, small files joined, old ones removed.

What fails here is told and harms no load: the rows are in Delta before it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import types as T

from lakehouse.job.loads import Load
from lakehouse.job.session import cause_of
from lakehouse.job.tables import Target
from lakehouse.job.types import quoted

CLUSTERING_COLUMNS = 4  # Delta takes no more


@dataclass(frozen=True)
class Upkeep:
    """`optimize_every`: commits of a table between two OPTIMIZE; `vacuum_hours`: what VACUUM behind it keeps; 0 for never."""

    cluster_by_key: bool = False
    optimize_every: int = 0
    vacuum_hours: int = 0

    @classmethod
    def of(cls, order: dict[str, Any]) -> Upkeep:
        """As the order says; none where it says nothing."""
        return cls(**order.get("upkeep", {}))

    def make(self, target: Target, load: Load, fields: list[T.StructField]) -> None:
        """Makes the table of a load with keys, which is not there yet, clustered by them."""
        if not self.cluster_by_key or not load.keys:
            return
        columns = ", ".join(f"{quoted(each.name)} {each.dataType.simpleString()}" for each in fields)
        keys = ", ".join(quoted(key) for key in load.keys[:CLUSTERING_COLUMNS])
        target.make_clustered(load.table, columns, keys)

    def version(self, target: Target, table: str) -> int | None:
        """The table's version, from which `tend` counts; None where that is not needed or the engine cannot say."""
        return target.version(table) if self.optimize_every else None

    def tend(self, target: Target, table: str, before: int | None) -> None:
        """OPTIMIZE and VACUUM, where the table has come by another `optimize_every` commits since `before`."""
        now = self.version(target, table)
        if now is None or now // self.optimize_every <= (before or 0) // self.optimize_every:
            return
        statements = [f"OPTIMIZE {target.sql(table)}"]
        if self.vacuum_hours:
            statements.append(f"VACUUM {target.sql(table)} RETAIN {self.vacuum_hours} HOURS")
        for statement in statements:
            try:
                target.spark.sql(statement).collect()
                print(f"upkeep: {statement}", flush=True)
            except Exception as error:
                print(f"upkeep: {statement} failed: {cause_of(error)}", flush=True)
                return
