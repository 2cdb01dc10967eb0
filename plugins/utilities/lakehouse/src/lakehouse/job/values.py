"""A few rows of our own as a frame: of the ledger, the lease, and what is published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.job.clock import micros_of
from lakehouse.job.types import quoted


def values(spark: SparkSession, rows: Sequence[Sequence[Any]], schema: str) -> DataFrame:
    """Rows of text, whole numbers and moments (UTC) with a schema such as `name string, at timestamp`.

    They are JSON in the plan: for a list of Python's, PySpark without Connect starts Python processes wherever the frame is used.
    """
    if type(spark).__module__.startswith("pyspark.sql.connect"):
        return spark.createDataFrame([tuple(row) for row in rows], schema)
    fields = [each.split() for each in schema.split(", ")]
    held = ", ".join(f"{quoted(name)}: {'bigint' if kind == 'timestamp' else kind}" for name, kind in fields)
    text = json.dumps([{name: as_json(value) for (name, _), value in zip(fields, row, strict=True)} for row in rows])
    found = spark.range(1).select(F.inline(F.from_json(F.lit(text), f"array<struct<{held}>>", {"mode": "FAILFAST"})))
    return found.select(
        *(
            F.expr(f"timestamp_micros({quoted(name)})").alias(name) if kind == "timestamp" else quoted(name)
            for name, kind in fields
        )
    )


def as_json(value: object) -> object:
    """A value as JSON has it."""
    return micros_of(value) if isinstance(value, datetime) else value
