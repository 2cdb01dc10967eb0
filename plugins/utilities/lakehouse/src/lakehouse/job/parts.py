"""A load's parts: proven byte by byte, and read under their names and types in Delta."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.errors import Damaged
from lakehouse.job.loads import Load, metadata_of
from lakehouse.job.session import cause_of
from lakehouse.job.types import delta_type, quoted, type_family

HASHED_BYTES = 1 << 30  # an engine holds a file in memory to hash it: larger ones (no tap of ours writes any) are only measured
NUMBER = "row number"  # how the frame of parts calls the column that numbers rows; with a space, no column in Delta has the name


class StagedParts:
    """Reads loads' parts, and nothing else, under their names and types in Delta."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._times_as_bigint: bool | None = None  # does this engine read TIME columns as bigint?

    def prove(self, loads: list[Load]) -> None:
        """Raises Damaged where the stage does not hold the very bytes that the manifests name."""
        files = [(load, each) for load in loads for each in load.manifest["files"] if each["bytes"] < HASHED_BYTES]
        if not files:
            return
        paths = [f"{load.folder}/{each['path']}" for load, each in files]
        try:
            hashed = self._spark.read.format("binaryFile").load(paths).select("path", F.sha2("content", 256).alias("hash"))
            found = {name_of(row["path"]): row["hash"] for row in hashed.collect()}
        except Exception as error:
            raise Damaged(f"its parts cannot be read: {cause_of(error)}", SEND_AGAIN) from None
        wanted = {name_of(each["path"]): each["sha256"] for _, each in files}
        wrong = sorted(name for name, digest in wanted.items() if found.get(name) != digest)
        if wrong:
            what = "is missing on the stage" if wrong[0] not in found else "is not on the stage as its manifest says"
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise Damaged(f"part {wrong[0]} {what}{more}", SEND_AGAIN)

    def read(self, load: Load, numbered: bool = False) -> DataFrame:
        """The rows of a load with the table's columns; `numbered`: and NUMBER, where its parts have one (else NULL)."""
        number = load.manifest.get("row_number")
        schema = load.schema()
        paths = load.paths()
        if not paths:
            if numbered:
                schema.add(T.StructField(NUMBER, T.LongType(), True))
            return self._spark.createDataFrame([], schema)
        columns = [F.expr(staged_sql(each)).alias(each["column"], metadata=metadata_of(each)) for each in load.columns]
        if numbered:
            columns.append((F.col(quoted(number)) if number else F.lit(None)).cast("bigint").alias(NUMBER))
        return self._parquet(paths, number if numbered else None, load.columns).select(*columns)

    def read_deletes(self, load: Load) -> DataFrame:
        """The keys that the source deleted, with the table's columns and NUMBER: NULL, all but the keys."""
        keys = [each for each in load.columns if each["column"] in load.keys]
        staged = self._parquet(load.paths(deletes=True), None, keys)
        columns = [
            F.expr(staged_sql(each)).alias(each["column"])
            if each in keys
            else F.lit(None).cast(delta_type(each["type"])).alias(each["column"])
            for each in load.columns
        ]
        return staged.select(*columns, F.lit(None).cast("bigint").alias(NUMBER))

    def _parquet(self, paths: list[str], number: str | None, columns: list[dict[str, Any]]) -> DataFrame:
        times = [each["name"] for each in columns if type_family(each["type"]) == "time64"]
        if times and self._times_as_bigint is None:
            # Spark reads TIME only where the schema says bigint; Sail only where no schema is given.
            try:
                self._with_schema(paths, number, columns).select(*(F.col(quoted(name)) for name in times)).limit(1).collect()
                self._times_as_bigint = True
            except Exception as error:
                if "MISMATCH" not in str(error).upper():
                    raise
                self._times_as_bigint = False
        if times and not self._times_as_bigint:
            # Without a schema the engine takes NOT NULL from the parts, and Delta's table from there: no column could come later.
            names = [*(each["name"] for each in columns), *([number] if number else [])]
            may_be_null = {name: quoted(name) if name in times else f"nullif({quoted(name)}, NULL)" for name in names}
            return self._spark.read.parquet(*paths).select(*(F.expr(sql).alias(name) for name, sql in may_be_null.items()))
        return self._with_schema(paths, number, columns)

    def _with_schema(self, paths: list[str], number: str | None, columns: list[dict[str, Any]]) -> DataFrame:
        fields = []
        for each in columns:
            read_as = T.LongType() if type_family(each["type"]) == "time64" else delta_type(each["type"])
            fields.append(T.StructField(each["name"], read_as, True))
        if number:
            fields.append(T.StructField(number, T.LongType(), True))
        # The parts come from Arrow, whose calendar is Gregorian throughout: no rebasing of dates before 1582.
        reader = self._spark.read.schema(T.StructType(fields)).option("datetimeRebaseMode", "CORRECTED")
        return reader.option("int96RebaseMode", "CORRECTED").parquet(*paths)


SEND_AGAIN = "entrypoint.sh upload sends it again, if its files are still here; else the next run reads it again"


def name_of(path: str) -> str:
    """The name of a file; no two parts have the same."""
    return path.rsplit("/", 1)[-1]


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
