"""The ledger: the Delta table whose rows are the commits (docs/contracts.md, Ledger)."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.loads import Load
from lakehouse.job.session import configure
from lakehouse.job.tables import Target
from lakehouse.job.types import quoted

UTC = timezone.utc  # noqa: UP017  (DBR 13.3 has Python 3.10)
LEDGER = "_loads"
LEDGER_SCHEMA = (
    "load_id string, manifest_sha256 string, source string, stream string, table_name string, mode string, "
    "rows bigint, source_rows bigint, delta_rows bigint, delta_version bigint, bookmark string, committed_at timestamp"
)
READ = ("load_id", "source", "stream", "table_name", "mode", "rows", "source_rows", "delta_rows", "bookmark")


class Ledger:
    """The ledger's rows, oldest load first; it grows with every commit."""

    def __init__(self, spark: SparkSession, target: Target) -> None:
        self._spark, self._target = spark, target
        self.rows: list[dict[str, Any]] = []
        if target.fields(LEDGER):
            rows = [row.asDict() for row in target.read(LEDGER).select(*READ).collect()]
            self.rows = sorted(rows, key=lambda row: str(row["load_id"]))

    def row_of(self, load: Load) -> dict[str, Any] | None:
        """The row of a load, None for one that is not committed."""
        return next((row for row in self.rows if row["load_id"] == load.load_id), None)

    def has_later(self, load: Load) -> bool:
        """Whether a load of the same stream that began later is committed."""
        return any(row["load_id"] > load.load_id for row in self._of_stream(load))

    def bookmark_of(self, load: Load) -> dict[str, Any] | None:
        """The newest bookmark of the load's stream."""
        rows = [row for row in self._of_stream(load) if row["bookmark"]]
        return dict(json.loads(max(rows, key=lambda row: str(row["load_id"]))["bookmark"])) if rows else None

    def commit(self, load: Load, delta_rows: int | None) -> None:
        """Writes the row of a load; `delta_rows` is None for one that a later one made needless."""
        m = load.manifest
        bookmark = None if m["bookmark"] is None else json.dumps(m["bookmark"], sort_keys=True)
        version = None if delta_rows is None else self._target.version(m["table"])
        row = (m["load_id"], load.sha256, m["source"], m["stream"], m["table"], m["mode"], m["rows"], m["source_rows"],
               delta_rows, version, bookmark, datetime.now(UTC))  # fmt: skip
        configure(self._spark, {"spark.databricks.delta.commitInfo.userMetadata": load.load_id})
        self._spark.createDataFrame([row], LEDGER_SCHEMA).createOrReplaceTempView("_ledger_row")
        names = [each.split()[0] for each in LEDGER_SCHEMA.split(", ")]
        columns, values = ", ".join(map(quoted, names)), ", ".join(f"s.{quoted(name)}" for name in names)
        self._spark.sql(
            f"MERGE INTO {self._target.sql(LEDGER)} t USING _ledger_row s ON t.load_id = s.load_id "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        ).collect()
        self.rows.append(dict(zip(names, row, strict=True)))

    def _of_stream(self, load: Load) -> list[dict[str, Any]]:
        return [row for row in self.rows if (row["source"], row["stream"]) == load.stream]
