"""What a merge writes: one row per key, of loads together; and the proof that Delta has them, and no more what was deleted."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.errors import Refused, Unequal
from lakehouse.job.facts import Facts, differences, fact_columns, facts_of_manifest, facts_of_row, measure
from lakehouse.job.frames import all_of
from lakehouse.job.held import are_small, held
from lakehouse.job.keys import DELETED, ORDER, count_keys, missing_keys, newest_of_each_key, rows_of_keys
from lakehouse.job.loads import Load
from lakehouse.job.parts import NUMBER, StagedParts
from lakehouse.job.rows import DELETED_AT, name_of_row_column, row_fields, with_row_columns
from lakehouse.job.session import die_if_asked
from lakehouse.job.types import quoted


class Merging:
    """Makes the frame of a merge. `wanted` names the columns that the job adds to a load's rows."""

    def __init__(self, spark: SparkSession, parts: StagedParts, wanted: Callable[[Load], list[str]]) -> None:
        self._spark, self._parts, self._wanted = spark, parts, wanted

    def one_per_key(self, loads: list[Load]) -> tuple[Facts, DataFrame, list[int]]:
        """The rows to merge, one per key; their facts (the manifest's own where one load has no doubles); rows per load."""
        last = loads[-1]
        frame = all_of([self._read(load).withColumn(ORDER, F.lit(place)) for place, load in enumerate(loads)])
        if len(loads) == 1:
            frame = self._held(frame, loads)
            missing, keys = count_keys(frame, last)
            refuse_missing(last, missing)
            if keys == last.rows + last.deletes:
                return facts_of_manifest(last), frame, [last.rows]
        frame = self._held(newest_of_each_key(frame, last), loads)
        counts = [F.expr(f"count_if({quoted(ORDER)} = {place})").alias(f"c{place}") for place in range(len(loads))]
        rows = frame.where(~F.col(quoted(DELETED))) if last.is_of_changes else frame
        row = rows.agg(*fact_columns(last), *counts, missing_keys(last).alias("missing")).collect()[0].asDict()
        refuse_missing(last, int(row["missing"]))
        return facts_of_row(row, last), frame, [int(row[f"c{place}"]) for place in range(len(loads))]

    def _read(self, load: Load) -> DataFrame:
        """The rows of a load, numbered; of one of changes also the keys that were deleted, told apart by DELETED."""
        wanted = self._wanted(load)
        rows = with_row_columns(self._parts.read(load, True), load, wanted)
        if not load.is_of_changes:
            return rows
        rows = rows.withColumn(DELETED, F.lit(False))
        if not load.deletes:
            return rows
        deletes = with_row_columns(self._parts.read_deletes(load), load, wanted, deleted=True)
        return rows.unionByName(deletes.withColumn(DELETED, F.lit(True)))

    def _held(self, frame: DataFrame, loads: list[Load]) -> DataFrame:
        """The rows as values, where they are few."""
        if not are_small(loads):
            return frame
        last = loads[-1]
        behind = [T.StructField(NUMBER, T.LongType()), *row_fields(last, self._wanted(last))]
        if last.is_of_changes:
            behind.append(T.StructField(DELETED, T.BooleanType()))
        return held(self._spark, frame, T.StructType([*last.schema().fields, *behind, T.StructField(ORDER, T.IntegerType())]))


def refuse_missing(load: Load, missing: int) -> None:
    """Raises Refused where rows have no key."""
    if missing:
        raise Refused(
            f"{missing} rows have no value in key column {' or '.join(load.keys)}",
            f"correct them at the source, or choose another key for stream {load.manifest['stream']}",
        )


def check_merged(table: DataFrame, load: Load, expected: Facts, frame: DataFrame, is_newest: bool = True) -> int:
    """Compares what the merge of a frame left in a table with what it was to leave; the rows that a load answers for.

    Of changes: the rows that were deleted are gone or marked, and, where the load is the newest and its source counted its
    rows at that very version, the whole table has as many. Raises Unequal.
    """
    if not load.is_of_changes:
        return check_equal(load, expected, measure(rows_of_keys(table, frame, load), load))
    if load.marks_deleted:
        table = table.where(f"{quoted(name_of_row_column(load, DELETED_AT))} IS NULL")
    deleted = F.col(quoted(DELETED))
    found = check_equal(load, expected, measure(rows_of_keys(table, frame.where(~deleted), load), load))
    left = rows_of_keys(table, frame.where(deleted), load).count() if load.deletes else 0
    if left:
        raise Unequal([f"{left} rows that the source deleted are in Delta"], found)
    said = load.manifest.get("snapshot_rows")
    if is_newest and said is not None and (rows := table.count()) != said:
        raise Unequal([f"{said} rows in the source's table, {rows} in Delta's"], rows)
    return found


def check_equal(load: Load, expected: Facts, found: Facts) -> int:
    """The rows found, where they and every fact are what was expected. Raises Unequal."""
    problems = differences(load, expected, found, "Delta")
    if problems:
        raise Unequal(problems, found.rows)
    die_if_asked("proven")
    return found.rows
