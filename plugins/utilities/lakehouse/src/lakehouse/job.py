"""The conversion: staged Parquet parts to Delta tables, checked, then one ledger row per load.

    job.py --stage STAGE --target TARGET --order FILE --order-sha256 HEX [--check-only]

One file for Databricks (DBR 13.3 and later), open-source Spark with Delta, and Sail: DataFrames, SQL and the standard
library. FILE, relative to STAGE, is JSON:

    {"job": "12 hex", "target": "as configured", "staged": [load ids on the stage],
     "loads": [{"manifest": "path relative to STAGE", "sha256": "of the manifest"}]}

Each load: manifest checked, parts recomputed against the manifest, data written, Delta recomputed against the manifest,
ledger row. The ledger row is the commit; a load that has one is skipped. Killed anywhere, the job may run again:
overwrite and merge repeat harmlessly, an append is found by its `_load_id`. What happened is published under
STAGE/_published; exit code 1 when a load failed. Manifest, ledger and published document: docs/contracts.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

UTC = timezone.utc  # noqa: UP017  (DBR 13.3 has Python 3.10)
LEDGER = "_loads"
LEDGER_SCHEMA = (
    "load_id string, manifest_sha256 string, source string, stream string, table_name string, mode string, "
    "rows bigint, source_rows bigint, delta_rows bigint, delta_version bigint, bookmark string, committed_at timestamp"
)
LOAD_ID = "_load_id"  # the column that marks appended rows
PUBLISH_EVERY = 30.0  # seconds between two published documents while loads go on
SIMPLE = {
    "bool": T.BooleanType(),
    "int16": T.ShortType(),
    "int32": T.IntegerType(),
    "int64": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
    "date32[day]": T.DateType(),
    "timestamp[us]": T.TimestampNTZType(),
    "timestamp[us, tz=UTC]": T.TimestampType(),
    "time64[us]": T.StringType(),
    "time64[ns]": T.StringType(),
    "string": T.StringType(),
    "binary": T.BinaryType(),
}


class Refused(Exception):
    """A load that must not be applied; the message goes into the published document."""


# --- types -----------------------------------------------------------------------------------------------------------


def delta_type(arrow: str) -> T.DataType:
    """The Spark type in Delta of an Arrow type as the manifest writes it."""
    found = re.fullmatch(r"decimal128\((\d+), (\d+)\)", arrow)
    if found:
        return T.DecimalType(int(found[1]), int(found[2]))
    if arrow not in SIMPLE:
        raise Refused(f"unknown Arrow type {arrow}")
    return SIMPLE[arrow]


def kind(arrow: str) -> str:
    """The row of the table of column facts that an Arrow type belongs to."""
    return re.split(r"[\[(]", arrow)[0]


def quoted(name: str) -> str:
    """A name for SQL, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


# --- manifests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """One manifest; `folder` is where its files lie, `sha256` the manifest's own."""

    manifest: dict[str, Any]
    sha256: str
    folder: str

    @property
    def load_id(self) -> str:
        """See docs/contracts.md, Names."""
        return str(self.manifest["load_id"])

    @property
    def stream(self) -> tuple[str, str]:
        """Source and stream: what a bookmark belongs to."""
        return str(self.manifest["source"]), str(self.manifest["stream"])

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The manifest's schema, in order."""
        return list(self.manifest["schema"])

    @property
    def keys(self) -> list[str]:
        """Key columns under their names in Delta."""
        return [self.column(name) for name in self.manifest["key_columns"]]

    @property
    def cursor(self) -> str | None:
        """The cursor column under its name in Delta, None for a load without."""
        cursor = self.manifest["cursor"]
        return self.column(cursor["column"]) if cursor else None

    def column(self, name: str) -> str:
        """The name in Delta of a column of the source. Raises Refused for an unknown one."""
        for each in self.columns:
            if each["name"] == name:
                return str(each["column"])
        raise Refused(f"column {name} is not in the manifest's schema")

    def schema(self) -> T.StructType:
        """The table's columns; all may be NULL in Delta."""
        return T.StructType([T.StructField(c["column"], delta_type(c["type"]), True) for c in self.columns])


def read_texts(spark: SparkSession, paths: list[str]) -> list[str]:
    """Whole files as text, in no particular order."""
    return [row[0] for row in spark.read.text(paths, wholetext=True).collect()] if paths else []


def sha256(text: str) -> str:
    """Hex digest of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_order(spark: SparkSession, stage: str, file: str, digest: str) -> dict[str, Any]:
    """The order that was sent with the run. Ends the job when it is another one."""
    for text in read_texts(spark, [f"{stage}/{file}"]):
        if sha256(text) == digest:
            return dict(json.loads(text))
    raise SystemExit(f"The order {stage}/{file} is missing or not the one that was sent. Nothing was changed.")


def read_loads(spark: SparkSession, stage: str, wanted: list[dict[str, str]]) -> tuple[list[Load], list[str]]:
    """The loads of an order, oldest first, and the manifests that are missing or changed."""
    paths = {each["sha256"]: each["manifest"] for each in wanted}
    texts = {sha256(text): text for text in read_texts(spark, [f"{stage}/{path}" for path in paths.values()])}
    loads = []
    for digest, path in paths.items():
        if digest not in texts:
            continue
        manifest = json.loads(texts[digest])
        if manifest.get("version") != 1:
            raise SystemExit(f"{path}: manifest version {manifest.get('version')}, this job knows version 1.")
        loads.append(Load(manifest, digest, f"{stage}/{path.split('/')[0]}"))
    loads.sort(key=lambda load: (load.manifest["started_at"], load.load_id))
    return loads, [path for digest, path in paths.items() if digest not in texts]


# --- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """Where Delta tables live: in a schema of the catalog, or by path below a folder."""

    spark: SparkSession
    where: str

    @property
    def by_path(self) -> bool:
        """Tables by path rather than by name."""
        return "/" in self.where

    def sql(self, table: str) -> str:
        """The table's name in SQL."""
        if self.by_path:
            return f"delta.`{self.where}/{table}`"
        return ".".join(quoted(part) for part in (*self.where.split("."), table))

    def prepare(self) -> None:
        """Makes the schema, where tables have names."""
        if not self.by_path:
            self.spark.sql("CREATE SCHEMA IF NOT EXISTS " + ".".join(quoted(p) for p in self.where.split("."))).collect()

    def read(self, table: str) -> DataFrame:
        """A whole table."""
        if self.by_path:
            return self.spark.read.format("delta").load(f"{self.where}/{table}")
        return self.spark.read.table(self.sql(table))

    def fields(self, table: str) -> dict[str, T.DataType]:
        """Column types of a table, {} when there is none. A wrong {} does no harm: see `ensure`."""
        try:
            return {each.name: each.dataType for each in self.read(table).schema.fields}
        except Exception as error:
            if any(sign in str(error) for sign in ("NOT_FOUND", "No commit files", "not exist", "not a Delta table")):
                return {}
            raise

    def write(self, frame: DataFrame, table: str, mode: str, mark: str) -> None:
        """Overwrites (data and schema) or appends (new columns allowed); `mark` goes into the Delta log."""
        option = "overwriteSchema" if mode == "overwrite" else "mergeSchema"
        writer = frame.write.format("delta").mode(mode).option(option, "true").option("userMetadata", mark)
        if self.by_path:
            writer.save(f"{self.where}/{table}")
        else:
            writer.saveAsTable(self.sql(table))

    def ensure(self, table: str, schema: T.StructType, mark: str) -> None:
        """Makes the table, or adds columns it lacks, by appending no rows. Refuses a column of another type."""
        there = self.fields(table)
        for each in schema.fields:
            if each.name in there and there[each.name] != each.dataType:
                raise Refused(
                    f"column {each.name} is {there[each.name].simpleString()} in {table} and "
                    f"{each.dataType.simpleString()} in the load; load the stream in overwrite mode once, "
                    "or change the column in Delta"
                )
        if any(each.name not in there for each in schema.fields):
            self.write(self.spark.createDataFrame([], schema), table, "append", mark)

    def version(self, table: str) -> int | None:
        """The table's newest version, None where the engine cannot say (Sail has no DESCRIBE HISTORY)."""
        try:
            return int(self.spark.sql(f"DESCRIBE HISTORY {self.sql(table)} LIMIT 1").collect()[0]["version"])
        except Exception:
            return None


# --- staged data -----------------------------------------------------------------------------------------------------


class Staged:
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
        times = [each["name"] for each in load.columns if kind(each["type"]) == "time64"]
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
            read_as = T.LongType() if kind(each["type"]) == "time64" else delta_type(each["type"])
            fields.append(T.StructField(each["name"], read_as, True))
        # The parts come from Arrow, whose calendar is Gregorian throughout: no rebasing of dates before 1582.
        reader = self._spark.read.schema(T.StructType(fields)).option("datetimeRebaseMode", "CORRECTED")
        return reader.option("int96RebaseMode", "CORRECTED").parquet(*paths)


def staged_sql(column: dict[str, Any]) -> str:
    """A staged column as its Delta column: TIME becomes text HH:MM:SS.fffffff, the rest stays."""
    name = quoted(column["name"])
    if kind(column["type"]) != "time64":
        return name
    ticks = f"(cast({name} as bigint) * 10)" if column["type"] == "time64[us]" else f"(cast({name} as bigint) div 100)"

    def digits(unit: int, modulo: int, width: int) -> str:
        return f"lpad(cast(({ticks} div {unit}) % {modulo} as string), {width}, '0')"

    hours, minutes = digits(36_000_000_000, 24, 2), digits(600_000_000, 60, 2)
    seconds, fraction = digits(10_000_000, 60, 2), digits(1, 10_000_000, 7)
    return f"concat({hours}, ':', {minutes}, ':', {seconds}, '.', {fraction})"


# --- facts -----------------------------------------------------------------------------------------------------------

EPOCH = datetime(1970, 1, 1)


def fact_sql(column: str, arrow: str) -> dict[str, str]:
    """SQL of every fact of a column (docs/contracts.md, Column facts); `column` is its name in Delta."""
    name, what = quoted(column), kind(arrow)
    facts = {"non_null": f"count({name})"}
    if what == "bool":
        return facts | {"sum": f"sum(cast({name} as bigint))"}
    if what in ("int16", "int32", "int64"):
        return facts | {"sum": f"sum(cast({name} as decimal(20, 0)))", "min": f"min({name})", "max": f"max({name})"}
    if what == "decimal128":
        summed = {"sum": f"sum({name})"} if int(re.findall(r"\d+", arrow)[1]) <= 28 else {}
        return facts | summed | {"min": f"min({name})", "max": f"max({name})"}
    if what in ("float", "double"):
        return facts | {"min": f"min({name})", "max": f"max({name})"}
    if what == "date32":
        days = f"cast(datediff({name}, DATE'1970-01-01') as bigint)"
        return facts | {
            "sum": f"sum({days})",
            "min": f"cast(min({name}) as string)",
            "max": f"cast(max({name}) as string)",
        }
    if what == "timestamp":
        micros = f"unix_micros(cast({name} as timestamp))"
        return facts | {
            "sum": f"sum(cast({micros} as decimal(20, 0)))",
            "min": f"min({micros})",
            "max": f"max({micros})",
        }
    if what == "time64":
        seconds = " + ".join(f"cast(substr({name}, {at}, 2) as bigint) * {unit}" for at, unit in ((1, 3600), (4, 60), (7, 1)))
        nanos = f"({seconds}) * 1000000000 + cast(substr({name}, 10, 7) as bigint) * 100"
        return facts | {"sum": f"sum({nanos})", "min": f"min({name})", "max": f"max({name})"}
    return facts | {"length": f"sum(cast(octet_length({name}) as bigint))"}


@dataclass(frozen=True)
class Facts:
    """Row count, and facts by source column name, each as text (None: all values are NULL)."""

    rows: int
    columns: dict[str, dict[str, str | None]]


def measure(frame: DataFrame, load: Load) -> Facts:
    """Every fact of the load's columns over a frame with its Delta columns: one pass, one row."""
    plan = [(c["name"], c["type"], fact, sql) for c in load.columns for fact, sql in fact_sql(c["column"], c["type"]).items()]
    selected = [F.expr(sql).alias(f"f{number}") for number, (_, _, _, sql) in enumerate(plan)]
    row = frame.agg(F.count(F.lit(1)).alias("n"), *selected).collect()[0]
    columns: dict[str, dict[str, str | None]] = {}
    for number, (name, arrow, fact, _) in enumerate(plan):
        columns.setdefault(name, {})[fact] = fact_text(row[f"f{number}"], arrow, fact)
    return Facts(int(row["n"]), columns)


def fact_text(value: Any, arrow: str, fact: str) -> str | None:
    """A measured value as the manifest writes it; sum and length of nothing are 0."""
    if value is None:
        return "0" if fact in ("sum", "length") else None
    if kind(arrow) == "timestamp" and fact in ("min", "max"):
        text = (EPOCH + timedelta(microseconds=int(value))).isoformat(timespec="microseconds")
        return text + "Z" if "tz" in arrow else text
    return format(value, "f") if isinstance(value, Decimal) else repr(value) if isinstance(value, float) else str(value)


def promised(load: Load) -> Facts:
    """The manifest's own facts; what it does not say is not compared."""
    columns = {
        name: {fact: None if value is None else str(value) for fact, value in facts.items()}
        for name, facts in load.manifest["columns"].items()
    }
    return Facts(int(load.manifest["rows"]), columns)


def short_of_source(load: Load) -> list[str]:
    """A load whose rows are not what its source said it had; nothing where the source cannot say."""
    said, rows = load.manifest["source_rows"], load.manifest["rows"]
    return [] if said is None or said == rows else [f"{said} rows at the source, {rows} in the manifest"]


def differences(load: Load, said: Facts, found: Facts, where: str) -> list[str]:
    """What is not equal, for people: `column SubTotal: sum 1 in the manifest, 2 in Delta`."""
    problems = []
    if said.rows != found.rows:
        problems.append(f"{said.rows} rows in the manifest, {found.rows} in {where}")
    for each in load.columns:
        told, seen = said.columns.get(each["name"], {}), found.columns[each["name"]]
        for fact, value in told.items():
            if fact in seen and value is not None and not equal(value, seen[fact], each["type"], fact):
                problems.append(f"column {each['name']}: {fact} {value} in the manifest, {seen[fact]} in {where}")
    return problems


def equal(one: str, other: str | None, arrow: str, fact: str) -> bool:
    """Whether two facts are the same value: numbers as numbers, a float as the float it reads back as."""
    if other is None:
        return False
    if one == other:
        return True
    if kind(arrow) == "float":
        return bool(struct.pack("<f", float(one) + 0.0) == struct.pack("<f", float(other) + 0.0))
    if kind(arrow) == "double":
        return float(one) == float(other)
    if fact in ("non_null", "sum", "length") or kind(arrow) in ("int16", "int32", "int64", "decimal128"):
        return Decimal(one) == Decimal(other)
    return False


# --- applying a load -------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of one load; `equal` is None where figures were never compared."""

    load: Load
    status: str
    equal: bool | None = None
    delta_rows: int | None = None
    problems: list[str] = field(default_factory=list)


class Converter:
    """Applies loads to a target. `applied` are the load ids in the ledger; it grows."""

    def __init__(self, spark: SparkSession, target: Target, ledger: list[dict[str, Any]]) -> None:
        self.spark, self.target, self.ledger = spark, target, ledger
        self.staged = Staged(spark)

    def apply(self, load: Load) -> Outcome:
        """One load from parts to ledger row."""
        for row in self.ledger:
            if row["load_id"] == load.load_id:
                return Outcome(load, "already", True, row["delta_rows"])
        if load.manifest["mode"] == "overwrite" and self._late(load):
            self._commit(load, None)
            return Outcome(load, "already", None, None, ["a later full load of this stream is in Delta: not needed any more"])
        frame = self.staged.read(load)
        problems = short_of_source(load) + differences(load, promised(load), measure(frame, load), "the staged files")
        if problems:
            return Outcome(load, "failed", False, None, problems)
        said, frame = getattr(self, "_" + load.manifest["mode"])(load, frame)
        crash("after-data")
        found = measure(self._in_delta(load, frame), load)
        problems = differences(load, said, found, "Delta")
        if problems:
            return Outcome(load, "failed", False, found.rows, problems)
        self._commit(load, found.rows)
        return Outcome(load, "applied", True, found.rows)

    def check(self, load: Load) -> Outcome:
        """Compares a load with Delta again, writing nothing."""
        frame = self.staged.read(load)
        said = promised(load)
        if load.manifest["mode"] == "merge" and self._duplicates(load, frame):
            said = measure(self._deduplicated(load), load)
        found = measure(self._in_delta(load, frame), load)
        problems = differences(load, said, found, "Delta")
        return Outcome(load, "failed" if problems else "already", not problems, found.rows, problems)

    # Each mode returns what Delta must hold now, and the rows the load answers for.

    def _overwrite(self, load: Load, frame: DataFrame) -> tuple[Facts, DataFrame]:
        self.target.write(frame, load.manifest["table"], "overwrite", load.load_id)
        return promised(load), frame

    def _append(self, load: Load, frame: DataFrame) -> tuple[Facts, DataFrame]:
        table, schema = load.manifest["table"], load.schema()
        self._continues(load)
        schema.add(T.StructField(LOAD_ID, T.StringType(), True))
        self.target.ensure(table, schema, load.load_id)
        # An append is one Delta commit: the load's rows are all there (a run died before the ledger row), or none is.
        if load.manifest["rows"] and not self._in_delta(load, frame).limit(1).collect():
            self.target.write(frame.withColumn(LOAD_ID, F.lit(load.load_id)), table, "append", load.load_id)
        return promised(load), frame

    def _continues(self, load: Load) -> None:
        """An append must start where the ledger ends, or rows would be missing or double."""
        cursor, before = load.manifest["cursor"], [row for row in self._of_stream(load) if row["bookmark"]]
        if not cursor or not before:
            return
        last = json.loads(max(before, key=lambda row: str(row["load_id"]))["bookmark"]).get("replication_key_value")
        if last is not None and moment(cursor["from"]) != moment(last):
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
        said = promised(load)
        if self._duplicates(load, frame):
            frame = self._deduplicated(load)
            said = measure(frame, load)
        self.target.ensure(table, load.schema(), load.load_id)
        if load.cursor and self._late(load):
            frame = self._not_outdated(load, frame)
            said = measure(frame, load)
        if load.manifest["rows"]:
            self._conf("spark.databricks.delta.commitInfo.userMetadata", load.load_id)
            frame.createOrReplaceTempView("_staged")
            self.spark.sql(merge_sql(self.target.sql(table), load)).collect()
        return said, frame

    def _late(self, load: Load) -> bool:
        """Whether a load that began later is in Delta already."""
        return any(row["load_id"] > load.load_id for row in self._of_stream(load))

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
        ranked = self.staged.read_in_order(load).withColumn("_rank", F.row_number().over(window))
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

    def _of_stream(self, load: Load) -> list[dict[str, Any]]:
        return [row for row in self.ledger if (row["source"], row["stream"]) == load.stream]

    def _commit(self, load: Load, rows: int | None) -> None:
        """Writes the ledger row; `rows` is None for a load that a later one made needless."""
        m = load.manifest
        bookmark = None if m["bookmark"] is None else json.dumps(m["bookmark"], sort_keys=True)
        version = None if rows is None else self.target.version(m["table"])
        now = datetime.now(UTC)
        row = (m["load_id"], load.sha256, m["source"], m["stream"], m["table"], m["mode"], m["rows"], m["source_rows"],
               rows, version, bookmark, now)  # fmt: skip
        self._conf("spark.databricks.delta.commitInfo.userMetadata", load.load_id)
        self.spark.createDataFrame([row], LEDGER_SCHEMA).createOrReplaceTempView("_ledger_row")
        names = [each.split()[0] for each in LEDGER_SCHEMA.split(", ")]
        columns, values = ", ".join(map(quoted, names)), ", ".join(f"s.{quoted(name)}" for name in names)
        self.spark.sql(
            f"MERGE INTO {self.target.sql(LEDGER)} t USING _ledger_row s ON t.load_id = s.load_id "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
        ).collect()
        self.ledger.append(dict(zip(names, row, strict=True)))

    def _conf(self, name: str, value: str) -> None:
        configure(self.spark, {name: value})


def merge_sql(table: str, load: Load) -> str:
    """MERGE of the view `_staged`, which has one row per key."""
    names = [quoted(each["column"]) for each in load.columns]
    on = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in load.keys)
    sets = ", ".join(f"t.{name} = s.{name}" for name in names)
    return (
        f"MERGE INTO {table} t USING _staged s ON {on} WHEN MATCHED THEN UPDATE SET {sets} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join('s.' + name for name in names)})"
    )


def moment(value: object) -> str:
    """A cursor value in one spelling: `2026-01-01 00:00:00` and `2026-01-01T00:00:00.000000Z` are the same."""
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\d[T ]", text):
        text = re.sub(r"(Z|[+-]00:00)$", "", text.replace(" ", "T", 1))
        return re.sub(r"\.0*$|(\.\d*?)0+$", r"\1", text)
    return text


def crash(point: str) -> None:
    """Dies at once where a test asks for it."""
    if os.environ.get("LAKEHOUSE_CRASH") == point:
        sys.stdout.flush()
        os._exit(9)


# --- ledger and publication ------------------------------------------------------------------------------------------


def read_ledger(target: Target) -> list[dict[str, Any]]:
    """All rows of the ledger, oldest load first; [] when there is none yet."""
    if not target.fields(LEDGER):
        return []
    names = ("load_id", "source", "stream", "table_name", "mode", "rows", "source_rows", "delta_rows", "bookmark")
    return sorted((row.asDict() for row in target.read(LEDGER).select(*names).collect()), key=lambda row: str(row["load_id"]))


def document(order: dict[str, Any], ledger: list[dict[str, Any]], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What is published: bookmarks and loads of the ledger, and what became of this order's loads."""
    newest = {(row["source"], row["stream"]): row for row in sorted(ledger, key=lambda row: str(row["load_id"]))}
    bookmarks: dict[str, dict[str, Any]] = {}
    loads: dict[str, dict[str, Any]] = {}
    for (source, stream), row in sorted(newest.items()):
        if row["bookmark"]:
            bookmarks.setdefault(source, {})[stream] = json.loads(row["bookmark"])
        names = ("load_id", "source", "stream", "mode", "rows", "source_rows", "delta_rows")
        loads[row["load_id"]] = {name: row[name] for name in names} | {
            "table": row["table_name"], "status": "already", "equal": True, "problems": []}  # fmt: skip
    for outcome in outcomes:
        m = outcome.load.manifest
        loads[outcome.load.load_id] = {
            **{name: m[name] for name in ("load_id", "source", "stream", "table", "mode", "rows", "source_rows")},
            "delta_rows": outcome.delta_rows, "status": outcome.status, "equal": outcome.equal, "problems": outcome.problems,
        }  # fmt: skip
    return {
        "version": 1,
        "published_at": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "order": order["id"],
        "target": order["target"],
        "bookmarks": bookmarks,
        "loads": list(loads.values()),
        "committed": sorted({row["load_id"] for row in ledger} & set(order["staged"])),
    }


def publish(spark: SparkSession, stage: str, job: str, content: dict[str, Any]) -> None:
    """Writes the document as one line into a folder of its own; the newest folder counts."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    line = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    spark.createDataFrame([(line,)], "value string").coalesce(1).write.text(f"{stage}/_published/{now}-{job}")


def configure(spark: SparkSession, settings: dict[str, str]) -> None:
    """Sets what the engine lets us set; serverless compute refuses some, and their defaults are right there."""
    for name, value in settings.items():
        try:
            spark.conf.set(name, value)
        except Exception as error:
            print(f"setting {name}: {str(error).splitlines()[0]}")


# --- the run ---------------------------------------------------------------------------------------------------------


def run(spark: SparkSession, options: argparse.Namespace) -> list[Outcome]:
    """Applies (or only checks) the loads of the order; one outcome per load, oldest load first."""
    stage = options.stage.rstrip("/")
    order = read_order(spark, stage, options.order, options.order_sha256)
    order["id"] = options.order_sha256[:12]
    target = Target(spark, options.target.rstrip("/"))
    target.prepare()
    if not options.check_only:
        target.ensure(LEDGER, spark.createDataFrame([], LEDGER_SCHEMA).schema, "ledger")
    ledger = read_ledger(target)
    converter = Converter(spark, target, ledger)
    loads, missing = read_loads(spark, stage, order["loads"])
    if missing:
        raise SystemExit(f"Not on the stage, or changed there: {', '.join(missing)}. Nothing was done; upload again.")
    outcomes: list[Outcome] = []
    publish(spark, stage, order["id"], document(order, ledger, outcomes))
    published = time.monotonic()
    blocked: set[tuple[str, str]] = set()
    for load in loads:
        began = time.monotonic()
        if load.stream in blocked:
            outcome = Outcome(load, "failed", None, None, ["an earlier load of this stream failed"])
        else:
            outcome = attempt(converter.check if options.check_only else converter.apply, load)
        if outcome.status == "failed" and load.manifest["mode"] != "overwrite":
            blocked.add(load.stream)
        outcomes.append(outcome)
        told = "; ".join(outcome.problems) or f"{outcome.delta_rows} rows in Delta"
        seconds = time.monotonic() - began
        print(f"{outcome.status}: {load.load_id} {load.manifest['table']}: {told} ({seconds:.1f} s)", flush=True)
        if time.monotonic() - published > PUBLISH_EVERY:
            publish(spark, stage, order["id"], document(order, ledger, outcomes))
            published = time.monotonic()
    publish(spark, stage, order["id"], document(order, ledger, outcomes))
    return outcomes


def attempt(step: Callable[[Load], Outcome], load: Load) -> Outcome:
    """One load's failure is that load's: the others go on."""
    try:
        return step(load)
    except Refused as refused:
        return Outcome(load, "failed", None, None, [str(refused)])
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        print(f"{load.load_id}: {type(error).__name__}: {text}", flush=True)
        return Outcome(load, "failed", None, None, [text.splitlines()[0][:500]])


def main() -> None:
    """Parses the command line, runs, and exits with 1 when a load failed."""
    parser = argparse.ArgumentParser(description="Applies staged loads to Delta tables.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--order", required=True)
    parser.add_argument("--order-sha256", required=True)
    parser.add_argument("--check-only", action="store_true")
    options = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    configure(
        spark,
        {
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
            # INT96, the default, is nanoseconds to many readers: they overflow before 1678 and after 2262.
            "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
            "spark.databricks.delta.schema.autoMerge.enabled": "false",
        },
    )
    outcomes = run(spark, options)
    failed = [each for each in outcomes if each.status == "failed"]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(outcomes)} loads failed: no ledger row for them, their bookmarks stay.")
    print(f"{len(outcomes)} loads done.")


if __name__ == "__main__":
    main()
