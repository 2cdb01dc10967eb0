"""Delta tables: by name in a schema of the catalog, or by path below a folder."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.types import quoted


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
