"""One load from parts to ledger row."""

from __future__ import annotations

import os
import re
import sys

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.facts import Facts, differences, facts_of_manifest, measure, short_of_source
from lakehouse.job.ledger import Ledger
from lakehouse.job.loads import Load
from lakehouse.job.outcome import Outcome
from lakehouse.job.parts import StagedParts
from lakehouse.job.session import configure
from lakehouse.job.tables import Target
from lakehouse.job.types import quoted

LOAD_ID = "_load_id"  # the column that marks appended rows


class Converter:
    """Applies loads to a target, or only checks them."""

    def __init__(self, spark: SparkSession, target: Target, ledger: Ledger) -> None:
        self.spark, self.target, self.ledger = spark, target, ledger
        self.parts = StagedParts(spark)

    def apply(self, load: Load) -> Outcome:
        """One load from parts to ledger row."""
        row = self.ledger.row_of(load)
        if row:
            return Outcome(load, "already", True, row["delta_rows"])
        if load.manifest["mode"] == "overwrite" and self.ledger.has_later(load):
            self.ledger.commit(load, None)
            return Outcome(load, "already", None, None, ["a later full load of this stream is in Delta: not needed any more"])
        frame = self.parts.read(load)
        problems = short_of_source(load) + differences(load, facts_of_manifest(load), measure(frame, load), "the staged files")
        if problems:
            return Outcome(load, "failed", False, None, problems)
        expected, frame = getattr(self, "_" + load.manifest["mode"])(load, frame)
        die_if_asked("after-data")
        found = measure(self._in_delta(load, frame), load)
        problems = differences(load, expected, found, "Delta")
        if problems:
            return Outcome(load, "failed", False, found.rows, problems)
        self.ledger.commit(load, found.rows)
        return Outcome(load, "applied", True, found.rows)

    def check(self, load: Load) -> Outcome:
        """Compares a load with Delta again, writing nothing."""
        frame = self.parts.read(load)
        expected = facts_of_manifest(load)
        if load.manifest["mode"] == "merge" and self._duplicates(load, frame):
            expected = measure(self._deduplicated(load), load)
        found = measure(self._in_delta(load, frame), load)
        problems = differences(load, expected, found, "Delta")
        return Outcome(load, "failed" if problems else "already", not problems, found.rows, problems)

    # Each mode returns what Delta must hold now, and the rows the load answers for.

    def _overwrite(self, load: Load, frame: DataFrame) -> tuple[Facts, DataFrame]:
        self.target.write(frame, load.manifest["table"], "overwrite", load.load_id)
        return facts_of_manifest(load), frame

    def _append(self, load: Load, frame: DataFrame) -> tuple[Facts, DataFrame]:
        table, schema = load.manifest["table"], load.schema()
        self._continues(load)
        schema.add(T.StructField(LOAD_ID, T.StringType(), True))
        self.target.ensure(table, schema, load.load_id)
        # An append is one Delta commit: the load's rows are all there (a run died before the ledger row), or none is.
        if load.manifest["rows"] and not self._in_delta(load, frame).limit(1).collect():
            self.target.write(frame.withColumn(LOAD_ID, F.lit(load.load_id)), table, "append", load.load_id)
        return facts_of_manifest(load), frame

    def _continues(self, load: Load) -> None:
        """An append must start where the ledger ends, or rows would be missing or double."""
        cursor, bookmark = load.manifest["cursor"], self.ledger.bookmark_of(load)
        if not cursor or not bookmark:
            return
        last = bookmark.get("replication_key_value")
        if last is not None and in_one_spelling(cursor["from"]) != in_one_spelling(last):
            raise Refused(
                f"the load starts at {cursor['from']}, the ledger ends at {last}: appending would lose or double rows; "
                "set the state from the ledger (lakehouse bookmarks) and extract again"
            )

    def _merge(self, load: Load, frame: DataFrame) -> tuple[Facts, DataFrame]:
        table, keys = load.manifest["table"], load.keys
        if not keys:
            raise Refused("mode merge without key columns")
        if frame.where(" OR ".join(f"{quoted(key)} IS NULL" for key in keys)).limit(1).collect():
            raise Refused(f"NULL in key columns {', '.join(keys)}")
        expected = facts_of_manifest(load)
        if self._duplicates(load, frame):
            frame = self._deduplicated(load)
            expected = measure(frame, load)
        self.target.ensure(table, load.schema(), load.load_id)
        if load.cursor and self.ledger.has_later(load):
            frame = self._not_outdated(load, frame)
            expected = measure(frame, load)
        if load.manifest["rows"]:
            configure(self.spark, {"spark.databricks.delta.commitInfo.userMetadata": load.load_id})
            frame.createOrReplaceTempView("_staged")
            self.spark.sql(merge_sql(self.target.sql(table), load)).collect()
        return expected, frame

    def _not_outdated(self, load: Load, frame: DataFrame) -> DataFrame:
        """The rows that Delta does not hold in a newer version, by cursor."""
        names = [*load.keys, str(load.cursor)]
        newer = self.target.read(load.manifest["table"]).select(*(F.col(quoted(n)).alias(f"_{i}") for i, n in enumerate(names)))
        on = [F.col(quoted(key)) == F.col(f"_{number}") for number, key in enumerate(load.keys)]
        on.append(F.col(f"_{len(load.keys)}") > F.col(quoted(names[-1])))
        return frame.join(newer, on, "left_anti")

    def _duplicates(self, load: Load, frame: DataFrame) -> bool:
        return int(frame.select(*map(quoted, load.keys)).distinct().count()) != int(load.manifest["rows"])

    def _deduplicated(self, load: Load) -> DataFrame:
        """One row per key: the last by cursor, then by file, then by place in the file."""
        order = [F.col("_file").desc(), F.col("_row").desc()]
        if load.cursor:
            order.insert(0, F.col(quoted(load.cursor)).desc_nulls_last())
        window = Window.partitionBy(*map(quoted, load.keys)).orderBy(*order)
        ranked = self.parts.read_in_order(load).withColumn("_rank", F.row_number().over(window))
        return ranked.where("_rank = 1").drop("_rank", "_file", "_row")

    def _in_delta(self, load: Load, frame: DataFrame) -> DataFrame:
        """The rows of Delta that a load answers for."""
        table = self.target.read(load.manifest["table"])
        if load.manifest["mode"] == "append":
            return table.where(F.col(LOAD_ID) == load.load_id)
        if load.manifest["mode"] == "merge":
            keys = frame.select(*(F.col(quoted(key)).alias(f"_key{n}") for n, key in enumerate(load.keys))).distinct()
            on = [F.col(quoted(key)) == F.col(f"_key{n}") for n, key in enumerate(load.keys)]
            return table.join(keys, on, "left_semi")
        return table


def merge_sql(table: str, load: Load) -> str:
    """MERGE of the view `_staged`, which has one row per key."""
    names = [quoted(each["column"]) for each in load.columns]
    on = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in load.keys)
    sets = ", ".join(f"t.{name} = s.{name}" for name in names)
    return (
        f"MERGE INTO {table} t USING _staged s ON {on} WHEN MATCHED THEN UPDATE SET {sets} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join('s.' + name for name in names)})"
    )


def in_one_spelling(value: object) -> str:
    """A cursor value in one spelling: `2026-01-01 00:00:00` and `2026-01-01T00:00:00.000000Z` are the same."""
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\d[T ]", text):
        text = re.sub(r"(Z|[+-]00:00)$", "", text.replace(" ", "T", 1))
        return re.sub(r"\.0*$|(\.\d*?)0+$", r"\1", text)
    return text


def die_if_asked(point: str) -> None:
    """Dies at once where a test asks for it."""
    if os.environ.get("LAKEHOUSE_CRASH") == point:
        sys.stdout.flush()
        os._exit(9)
