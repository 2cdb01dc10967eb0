"""A load's parts, read under their names and types in Delta."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.loads import Load
from lakehouse.job.types import delta_type, quoted, type_family


class StagedParts:
    """Reads a load's parts, and nothing else, under their names and types in Delta."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._times_as_bigint: bool | None = None  # does this engine read TIME columns as bigint?

    def read(self, load: Load, paths: list[str] | None = None) -> DataFrame:
        """The rows of all parts of a load (or of `paths`), with the table's columns."""
        paths = [f"{load.folder}/{each['path']}" for each in load.manifest["files"]] if paths is None else paths
        if not paths:
            return self._spark.createDataFrame([], load.schema())
        return self._parquet(load, paths).select(*(F.expr(staged_sql(each)).alias(each["column"]) for each in load.columns))

    def read_in_order(self, load: Load) -> DataFrame:
        """The same rows with `_file` and `_row`, the order in which the tap wrote them."""
        whole: DataFrame | None = None
        for number, file in enumerate(load.manifest["files"]):
            one = self.read(load, [f"{load.folder}/{file['path']}"])
            one = one.withColumn("_file", F.lit(number)).withColumn("_row", F.monotonically_increasing_id())
            whole = one if whole is None else whole.unionByName(one)
        assert whole is not None
        return whole

    def _parquet(self, load: Load, paths: list[str]) -> DataFrame:
        times = [each["name"] for each in load.columns if type_family(each["type"]) == "time64"]
        if times and self._times_as_bigint is None:
            # Spark reads TIME only where the schema says bigint; Sail only where no schema is given.
            try:
                self._with_schema(load, paths).select(*(F.col(quoted(name)) for name in times)).limit(1).collect()
                self._times_as_bigint = True
            except Exception as error:
                if "MISMATCH" not in str(error).upper():
                    raise
                self._times_as_bigint = False
        if times and not self._times_as_bigint:
            return self._spark.read.parquet(*paths)
        return self._with_schema(load, paths)

    def _with_schema(self, load: Load, paths: list[str]) -> DataFrame:
        fields = []
        for each in load.columns:
            read_as = T.LongType() if type_family(each["type"]) == "time64" else delta_type(each["type"])
            fields.append(T.StructField(each["name"], read_as, True))
        # The parts come from Arrow, whose calendar is Gregorian throughout: no rebasing of dates before 1582.
        reader = self._spark.read.schema(T.StructType(fields)).option("datetimeRebaseMode", "CORRECTED")
        return reader.option("int96RebaseMode", "CORRECTED").parquet(*paths)


def staged_sql(column: dict[str, Any]) -> str:
    """A staged column as its Delta column: TIME becomes text HH:MM:SS.fffffff, the rest stays."""
    name = quoted(column["name"])
    if type_family(column["type"]) != "time64":
        return name
    ticks = f"(cast({name} as bigint) * 10)" if column["type"] == "time64[us]" else f"(cast({name} as bigint) div 100)"

    def digits(unit: int, modulo: int, width: int) -> str:
        return f"lpad(cast(({ticks} div {unit}) % {modulo} as string), {width}, '0')"

    hours, minutes = digits(36_000_000_000, 24, 2), digits(600_000_000, 60, 2)
    seconds, fraction = digits(10_000_000, 60, 2), digits(1, 10_000_000, 7)
    return f"concat({hours}, ':', {minutes}, ':', {seconds}, '.', {fraction})"
