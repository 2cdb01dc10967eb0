"""Delta tables: by name in a schema of the catalog, or by path below a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.session import cause_of
from lakehouse.job.types import quoted

MADE_WITH = {"delta.feature.timestampNtz": "supported"}  # what a datetime of SQL Server needs, and one may come later
ABSENT = ("NOT_FOUND", "No commit files", "not exist", "not a Delta table", "MISSING_DELTA_TABLE")


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
        """Makes the schema where it is missing: only then is the right to make one needed."""
        if self.by_path:
            return
        name = ".".join(quoted(part) for part in self.where.split("."))
        try:
            there = bool(self.spark.catalog.databaseExists(self.where))
        except Exception:
            there = False
        if not there:
            self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {name}").collect()

    def read(self, table: str) -> DataFrame:
        """A whole table."""
        if self.by_path:
            return self.spark.read.format("delta").load(f"{self.where}/{table}")
        return self.spark.read.table(self.sql(table))

    def schema(self, table: str) -> T.StructType | None:
        """A table's columns; None where there is no table."""
        try:
            found = self.read(table).schema
        except Exception as error:
            if any(sign in str(error) for sign in ABSENT):
                return None
            raise
        return found if found.fields else None

    def fields(self, table: str) -> dict[str, T.DataType]:
        """Column types of a table, {} where there is none."""
        found = self.schema(table)
        return {each.name: each.dataType for each in found.fields} if found else {}

    def append(self, frame: DataFrame, table: str, options: dict[str, str]) -> None:
        """Adds rows, and columns that the table lacks; makes the table where there is none."""
        writer = frame.write.format("delta").mode("append").option("mergeSchema", "true").options(**options)
        if self.by_path:
            writer.save(f"{self.where}/{table}")
        else:
            writer.saveAsTable(self.sql(table))

    def make_clustered(self, table: str, columns: str, keys: str) -> None:
        """Makes a table, which has liquid clustering; one that an engine cannot make so is made later, without."""
        properties = ", ".join(f"'{name}' = '{value}'" for name, value in MADE_WITH.items())
        statement = f"CREATE TABLE IF NOT EXISTS {self.sql(table)} ({columns}) USING delta CLUSTER BY ({keys})"
        try:
            self.spark.sql(f"{statement} TBLPROPERTIES ({properties})").collect()
        except Exception as error:
            print(f"{table} is not clustered: {cause_of(error)}", flush=True)

    def describe(self, table: str, comment: str) -> None:
        """Gives a table that was just made its comment, where there is one and the engine knows comments."""
        if comment:
            text = comment.replace("\\", "\\\\").replace("'", "\\'")
            self._try(f"COMMENT ON TABLE {self.sql(table)} IS '{text}'")

    def replace(self, frame: DataFrame, table: str, options: dict[str, str], where: str | None = None) -> None:
        """Puts rows in place of all, or of those that a condition names, in one commit; makes the table where there is none.

        Types and columns become the frame's where all rows are replaced. What its owner has set (properties, comments,
        clustering, partitions) stays.
        """
        there = self.schema(table)
        if there is None:
            self.append(frame, table, {**options, **MADE_WITH})
            return
        options, clustered = dict(options), [] if where else self.clustering(table)
        if where is None:
            frame = with_comments(frame, there)
            if {f.name: f.dataType for f in there.fields} != {f.name: f.dataType for f in frame.schema.fields}:
                options["overwriteSchema"] = "true"
        try:
            self._overwrite(frame, table, options, where)
        except Exception as error:
            # Sail, where some rows are replaced, wants every column of the table; Spark makes those NULL that the frame lacks.
            if where is None or "Schema mismatch" not in str(error):
                raise
            self._overwrite(with_columns_of(frame, there), table, options, where)
        kept = [name for name in clustered if name in frame.columns]
        if kept and self.clustering(table) != kept:  # Delta 4 forgets it where all rows are replaced
            self._try(f"ALTER TABLE {self.sql(table)} CLUSTER BY ({', '.join(map(quoted, kept))})")

    def _overwrite(self, frame: DataFrame, table: str, options: dict[str, str], where: str | None) -> None:
        if self.by_path:
            more = {} if where is None else {"replaceWhere": where}
            frame.write.format("delta").mode("overwrite").options(**options, **more).save(f"{self.where}/{table}")
        else:
            frame.writeTo(self.sql(table)).options(**options).overwrite(F.expr(where or "true"))

    def allow_local_timestamps(self, table: str, there: dict[str, T.DataType]) -> None:
        """Lets a table that was made without timestamps of no zone have them: real Delta refuses such a column until then."""
        if there and not any(isinstance(kind, T.TimestampNTZType) for kind in there.values()):
            self._try(f"ALTER TABLE {self.sql(table)} SET TBLPROPERTIES ('delta.feature.timestampNtz' = 'supported')")

    def widen(self, table: str, column: str, kind: T.DataType) -> bool:
        """Widens a column in place where its owner lets Delta do that (delta.enableTypeWidening); says whether it did."""
        detail = self.detail(table)
        if str((detail.get("properties") or {}).get("delta.enableTypeWidening", "")).lower() != "true":
            return False
        return self._try(f"ALTER TABLE {self.sql(table)} ALTER COLUMN {quoted(column)} TYPE {kind.simpleString()}")

    def clustering(self, table: str) -> list[str]:
        """The columns of a table's liquid clustering; none where the engine cannot say."""
        return list(self.detail(table).get("clusteringColumns") or [])

    def detail(self, table: str) -> dict[str, Any]:
        """What DESCRIBE DETAIL says; {} where the engine cannot say (Sail)."""
        try:
            return dict(self.spark.sql(f"DESCRIBE DETAIL {self.sql(table)}").collect()[0].asDict())
        except Exception:
            return {}

    def version(self, table: str) -> int | None:
        """The table's newest version, None where the engine cannot say (Sail has no DESCRIBE HISTORY)."""
        try:
            return int(self.spark.sql(f"DESCRIBE HISTORY {self.sql(table)} LIMIT 1").collect()[0]["version"])
        except Exception:
            return None

    def written(self, table: str, mark: str) -> int | None:
        """The rows that the newest commit wrote, if it bears a mark; None where it does not, or the engine cannot say."""
        try:
            row = self.spark.sql(f"DESCRIBE HISTORY {self.sql(table)} LIMIT 1").collect()[0]
        except Exception:
            return None
        found = (row["operationMetrics"] or {}).get("numOutputRows")
        return int(found) if found is not None and row["userMetadata"] == mark else None

    def _try(self, statement: str) -> bool:
        """Whether the engine takes a statement; Sail knows none of them, and does not need them."""
        try:
            self.spark.sql(statement).collect()
        except Exception:
            return False
        return True


def with_columns_of(frame: DataFrame, table: T.StructType) -> DataFrame:
    """The frame with all columns of a table, in its order; NULL in those that it lacks."""
    mine = set(frame.columns)
    return frame.select(
        *(F.col(quoted(f.name)) if f.name in mine else F.lit(None).cast(f.dataType).alias(f.name) for f in table.fields)
    )


def with_comments(frame: DataFrame, table: T.StructType) -> DataFrame:
    """The frame, its columns with the comments that the table's columns of the same name have: what is there wins."""
    comments = {f.name.lower(): f.metadata["comment"] for f in table.fields if f.metadata and "comment" in f.metadata}
    if not comments:
        return frame
    columns = []
    for each in frame.schema.fields:
        comment = comments.get(each.name.lower())
        column = F.col(quoted(each.name))
        columns.append(column.alias(each.name, metadata={"comment": comment}) if comment else column)
    return frame.select(*columns)
