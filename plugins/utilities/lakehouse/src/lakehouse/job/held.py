"""Small loads as values of the plan: an engine reads their parts once, not for each of the statements that use them."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.loads import Load
from lakehouse.job.types import micros_sql, quoted

ROWS, BYTES = 2_000, 1 << 20  # of small loads, together; bytes are those of texts and binaries


def are_small(loads: Iterable[Load]) -> bool:
    """Whether loads together are few rows, and not much text in them."""
    told = list(loads)
    texts = sum(int(facts.get("length") or 0) for load in told for facts in load.manifest["columns"].values())
    return sum(load.rows + load.deletes for load in told) <= ROWS and texts <= BYTES


def held(spark: SparkSession, frame: DataFrame, schema: T.StructType) -> DataFrame:
    """The rows of a frame with this schema, evaluated now.

    Moments travel as microseconds: in Python they would meet the time zone of the process.
    """
    fields = schema.fields
    rows = frame.select(*(F.expr(as_held(each)).alias(each.name) for each in fields)).collect()
    kinds = [T.StructField(each.name, T.LongType() if is_moment(each) else each.dataType, True) for each in fields]
    values = spark.createDataFrame([tuple(row) for row in rows], T.StructType(kinds)).coalesce(1)
    return values.select(*(F.expr(as_before(each)).cast(each.dataType).alias(each.name) for each in fields))


def as_held(field: T.StructField) -> str:
    """SQL for a column's values as they travel."""
    return micros_sql(quoted(field.name)) if is_moment(field) else quoted(field.name)


def as_before(field: T.StructField) -> str:
    """SQL for the values as they were."""
    return f"timestamp_micros({quoted(field.name)})" if is_moment(field) else quoted(field.name)


def is_moment(field: T.StructField) -> bool:
    """Whether a column is of timestamps, with a zone or without."""
    return isinstance(field.dataType, (T.TimestampType, T.TimestampNTZType))
