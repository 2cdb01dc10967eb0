"""One stream's loads into its table: what each mode writes, and the proof that Delta holds it afterwards."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.facts import (
    Facts,
    facts_of_manifest,
    facts_of_observed,
    measure,
    measure_by,
    observed_columns,
    short_of_source,
)
from lakehouse.job.frames import all_of, as_spelled, merge_sql, repaired_sql, with_others
from lakehouse.job.keys import ORDER, refuse_doubtful_keys
from lakehouse.job.lease import Lease
from lakehouse.job.loads import Load
from lakehouse.job.merging import Merging, check_equal, check_merged
from lakehouse.job.parts import NUMBER, StagedParts
from lakehouse.job.rows import DELETED_AT, MARK, mark_of, refuse_other_kinds, refuse_turned, row_fields, with_row_columns
from lakehouse.job.session import cause_of, configure, die_if_asked
from lakehouse.job.shape import Shape, shape_of
from lakehouse.job.tables import MADE_WITH, Target
from lakehouse.job.types import quoted
from lakehouse.job.upkeep import Upkeep

TXN = "spark.databricks.delta.write.txn"


class Writer:
    """Writes loads, of one stream and mode at a time; on return Delta holds them, by count and every fact of their manifests."""

    def __init__(
        self,
        spark: SparkSession,
        own_settings: bool,
        target: Target,
        lease: Lease,
        verify: str = "full",
        row_columns: Sequence[str] = (),
        upkeep: Upkeep | None = None,
    ) -> None:
        self.spark, self.target, self.lease, self._verify = spark, target, lease, verify
        self._row_columns = row_columns  # of ROW_COLUMNS, those that every row gets
        self.upkeep = upkeep or Upkeep()
        self._own_settings = own_settings  # may settings be set that another thread's statements would see?
        self.parts = StagedParts(spark)
        self._merging = Merging(spark, self.parts, self._wanted)

    def overwrite(self, load: Load) -> list[int]:
        """The stream read whole: its rows in place of all."""
        self._prove([load])
        there = self.target.fields(load.table)
        if not load.rows and load.manifest["source_rows"] != 0 and there and self.target.read(load.table).limit(1).collect():
            raise Refused(
                "it has no rows, and its source does not say that it is empty: the table keeps its rows",
                f"if the source is empty, delete the table's rows, or drop the table; else entrypoint.sh drop {load.load_id}",
            )
        frame = self._read(load)
        if (
            load.cursor and not load.keys
        ):  # appends follow; in front, where Delta keeps figures of a column, it finds them by that
            mark = mark_of(load)
            frame = frame.select(quoted(mark), *(quoted(name) for name in frame.columns if name != mark))
        if any(isinstance(each.dataType, T.TimestampNTZType) for each in load.schema().fields):
            self.target.allow_local_timestamps(load.table, there)
        self.lease.check()
        if not there:
            self.upkeep.make(self.target, load, frame.schema.fields)
        die_if_asked("overwrite-waiting")
        seen = self._replace(frame, load)
        die_if_asked("overwrite-written")
        if not there:
            self.target.describe(load.table, load.comment)
        self.lease.check()
        return [check_equal(load, facts_of_manifest(load), seen or measure(self.target.read(load.table), load))]

    def append(self, loads: list[Load], former: list[str], first: bool) -> list[int]:
        """Rows of an incremental stream without a key, each with its load's id: written twice, they are there once."""
        last = loads[-1]
        self._prove(loads)
        mark = mark_of(last)
        ids = ", ".join(f"'{load.load_id}'" for load in loads)
        there = self.target.fields(last.table)
        if first and there:
            others = self.target.read(last.table)
            if mark in there:
                others = others.where(f"{quoted(mark)} IS NULL OR {quoted(mark)} NOT IN ({ids})")
            if others.limit(1).collect():
                raise Refused(
                    "the table has rows, and the ledger no load of this stream: rows would be double",
                    f"entrypoint.sh refresh {shlex.quote(last.manifest['stream'])} reads the stream whole, and replaces them",
                )
        shape = self._fit(last, there, former)
        frames = [self._read(load) for load in loads if load.rows]
        if frames:
            self.lease.check()
            die_if_asked("append-waiting")
            frame = as_spelled(all_of(frames), shape)
            # never NULL, for an engine may take the rows away of which it cannot say whether they are meant (Sail does)
            mine = f"{quoted(mark)} IS NOT NULL AND {quoted(mark)} IN ({ids})"
            self.target.replace(frame, last.table, self._marks(last), mine)
            die_if_asked("append-written")
            self.lease.check()
        table = self.target.read(last.table).where(f"{quoted(mark)} IN ({ids})")
        found = measure_by(table, last, mark)
        nothing = measure(table.where("false"), last) if len(found) < len(loads) else Facts(0, {})
        return [check_equal(load, facts_of_manifest(load), found.get(load.load_id, nothing)) for load in loads]

    def merge(self, loads: list[Load], former: list[str]) -> list[int]:
        """Rows with keys over those with the same; of several rows with one key the newest counts. What was deleted goes."""
        last = loads[-1]
        if not last.keys:
            raise Refused("mode merge without key columns", f"set the key of stream {last.manifest['stream']}")
        self._prove(loads)
        expected, frame, counts = self._merging.one_per_key(loads)
        there = self.target.fields(last.table)
        refuse_doubtful_keys(self.target.read(last.table) if there else None, frame, last)
        shape = self._fit(last, there, former)
        if any(load.rows or load.deletes for load in loads):
            self.lease.check()
            die_if_asked("merge-waiting")
            view = f"_staged_{last.load_id.replace('-', '_')}"
            frame.createOrReplaceTempView(view)
            # Where Delta cannot be told by the session which commits to pass over, the rows themselves need the lease.
            source = view if self._own_settings else f"(SELECT * FROM {view} WHERE {self.lease.condition})"
            added = [each.name for each in row_fields(last, self._wanted(last))]
            self._with_marks(last, merge_sql(self.target.sql(last.table), source, last, shape, added))
            die_if_asked("merge-written")
            self.lease.check()
        check_merged(self.target.read(last.table), last, expected, frame)
        return counts

    def repair(self, load: Load, former: list[str]) -> list[int]:
        """Ranges of keys, read again: their rows in place of those that the table has there, in one commit."""
        self._prove([load])
        expected, frame, _ = self._merging.one_per_key([load])
        there = self.target.fields(load.table)
        shape = self._fit(load, there, former)
        table, where = self.target.read(load.table), repaired_sql(load, shape)
        frame = with_others(as_spelled(frame.drop(ORDER, NUMBER), shape), table, load, shape)
        self.lease.check()
        self.target.replace(frame, load.table, self._marks(load), where)
        self.lease.check()
        return [check_equal(load, expected, measure(self.target.read(load.table).where(where), load))]

    def compare(self, load: Load) -> int:
        """The rows of Delta that an applied load answers for, compared again; nothing is written. Raises Unequal."""
        table = self.target.read(load.table)
        if load.mode == "merge":
            expected, frame, _ = self._merging.one_per_key([load])
            return check_merged(table, load, expected, frame, is_newest=False)
        if load.mode == "repair":
            expected, _, _ = self._merging.one_per_key([load])
            return check_equal(load, expected, measure(table.where(repaired_sql(load)), load))
        if load.mode == "append":
            table = table.where(F.col(quoted(mark_of(load))) == load.load_id)
        return check_equal(load, facts_of_manifest(load), measure(table, load))

    def _replace(self, frame: DataFrame, load: Load) -> Facts | None:
        """Replaces a table's rows; with `verify: write` what was observed of them on their way, where the engine can tell."""
        if self._verify == "write" and load.rows:
            observed, before = Observation(f"load {load.load_id}"), self.target.version(load.table)
            try:
                self.target.replace(frame.observe(observed, *observed_columns(load)), load.table, self._marks(load))
                written = self.target.written(load.table, load.load_id)
                # Delta passes over a write that an earlier run of the job has made: nothing was observed then.
                if written is not None and self.target.version(load.table) != before:
                    return Facts(written, facts_of_observed(observed.get, load).columns)
            except Exception as error:
                print(f"verify: write is not possible here, all is read back: {cause_of(error)}")
        self.target.replace(frame, load.table, self._marks(load))
        return None

    def count(self, load: Load) -> int:
        """All rows of the load's table."""
        return self.target.read(load.table).count()

    def _prove(self, loads: list[Load]) -> None:
        for load in loads:
            short = short_of_source(load)
            if short:
                raise Refused("; ".join(short), "the next run reads the stream again")
        self.parts.prove(loads)
        die_if_asked(f"{loads[-1].mode}-parts-proven")

    def _wanted(self, load: Load) -> list[str]:
        """The columns that the job adds to the rows of a load; those of an append need its id, those of changes may be marked."""
        is_marked = load.mode == "append" or (load.mode == "overwrite" and load.cursor and not load.keys)
        needed = [*([MARK] if is_marked else []), *([DELETED_AT] if load.marks_deleted else [])]
        return list(dict.fromkeys([*needed, *self._row_columns]))

    def _read(self, load: Load, numbered: bool = False) -> DataFrame:
        """The rows of a load, with the columns that the job adds."""
        return with_row_columns(self.parts.read(load, numbered), load, self._wanted(load))

    def _fit(self, load: Load, there: dict[str, T.DataType], former: list[str]) -> Shape:
        """Makes the table, or makes it hold the load's columns and those that the job adds."""
        shape = shape_of(there, load, former)
        refuse_other_kinds(load, there, self._wanted(load))
        refuse_turned(load, there, self._wanted(load), former)
        known = {name.lower() for name in there}
        mine = [each for each in row_fields(load, self._wanted(load)) if each.name.lower() not in known]
        added = [*mine, *shape.added]
        if any(isinstance(each.dataType, T.TimestampNTZType) for each in added):
            self.target.allow_local_timestamps(load.table, there)
        if added:
            self.lease.check()
            if not there:
                self.upkeep.make(self.target, load, added)
            die_if_asked("columns-waiting")
            frame = self.spark.createDataFrame([], T.StructType(added))
            self.target.append(frame, load.table, {"userMetadata": load.load_id, **({} if there else MADE_WITH)})
            die_if_asked("columns-added")
            if not there:
                self.target.describe(load.table, load.comment)
        left = {name: kind for name, kind in shape.widened.items() if not self.target.widen(load.table, name, kind)}
        if left:
            self._rewrite(load, left)
        return shape

    def _rewrite(self, load: Load, kinds: dict[str, T.DataType]) -> None:
        """Writes the table anew with wider columns: the way that leaves it open to every reader."""
        told = ", ".join(f"{name} {kind.simpleString()}" for name, kind in kinds.items())
        print(f"rewriting {load.table}: {told}", flush=True)
        table = self.target.read(load.table)
        columns = []
        for each in table.schema.fields:
            column = F.col(quoted(each.name))
            columns.append(column.cast(kinds[each.name]).alias(each.name) if each.name in kinds else column)
        self.lease.check()
        die_if_asked("rewrite-waiting")
        self.target.replace(table.select(*columns), load.table, {"userMetadata": load.load_id})
        die_if_asked("rewritten")

    def _marks(self, load: Load) -> dict[str, str]:
        """Options of a data commit: Delta passes over a commit of a load that is not newer than the stream's last."""
        return {"userMetadata": load.load_id, "txnAppId": app_of(load), "txnVersion": str(load.number)}

    def _with_marks(self, load: Load, statement: str) -> None:
        """The same for a statement, which takes them from the session's settings."""
        if self._own_settings:
            configure(
                self.spark,
                {
                    "spark.databricks.delta.commitInfo.userMetadata": load.load_id,
                    f"{TXN}AppId": app_of(load),
                    f"{TXN}Version": str(load.number),
                },
            )
        try:
            self.spark.sql(statement).collect()
        finally:
            if self._own_settings:
                for name in ("AppId", "Version"):
                    self.spark.conf.unset(TXN + name)


def app_of(load: Load) -> str:
    """The name under which Delta counts the commits of a stream."""
    return "lighthouse:" + "/".join(load.stream)
