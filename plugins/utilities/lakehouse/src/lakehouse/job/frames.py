"""What a mode makes of frames and of a table: one frame of many, columns as the table spells them, the MERGE itself. Pure."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.job.keys import DELETED, key_columns, same_key
from lakehouse.job.loads import Load
from lakehouse.job.rows import DELETED_AT, name_of_row_column
from lakehouse.job.shape import Shape
from lakehouse.job.types import quoted
from lakehouse.job.windows import ranges_sql


def all_of(frames: list[DataFrame]) -> DataFrame:
    """All rows of frames that have the same columns."""
    whole = frames[0]
    for each in frames[1:]:
        whole = whole.unionByName(each)
    return whole


def as_spelled(frame: DataFrame, shape: Shape) -> DataFrame:
    """The frame, its columns spelled as the table spells them."""
    return frame.select(*(F.col(quoted(name)).alias(shape.spelling.get(name, name)) for name in frame.columns))


def repaired_sql(load: Load, shape: Shape | None = None) -> str:
    """The rows of the ranges that a repair replaces."""
    key = load.keys[0]
    arrow = next(each["type"] for each in load.columns if each["column"] == key)
    return ranges_sql(shape.spelling[key] if shape else key, arrow, load.manifest["ranges"])


def with_others(frame: DataFrame, table: DataFrame, load: Load, shape: Shape) -> DataFrame:
    """The frame with the table's other columns: those that the source has no more are NULL, its owner's keep their values."""
    mine = {name.lower() for name in frame.columns}
    others = [each for each in table.schema.fields if each.name.lower() not in mine]
    kept = [each.name for each in others if each.name not in shape.gone]
    if kept:
        names = [f"key {number}" for number in range(len(load.keys))]  # with a space, no column of the table has the name
        keys = [column.alias(name) for column, name in zip(key_columns(load), names, strict=True)]
        known = table.select(*keys, *map(quoted, kept)).dropDuplicates(names)
        frame = frame.select("*", *keys).join(known, names, "left").drop(*names)
    for each in others:
        if each.name in shape.gone:
            frame = frame.withColumn(each.name, F.lit(None).cast(each.dataType))
    return frame


def merge_sql(table: str, source: str, load: Load, shape: Shape, added: list[str]) -> str:
    """MERGE of a view or query with one row per key; `added` are the job's own columns.

    Columns that the source has no more become NULL in rows that it updates. Of a load of changes the view has DELETED.
    """
    names = [(quoted(shape.spelling[each["column"]]), quoted(each["column"])) for each in load.columns]
    names += [(quoted(name), quoted(name)) for name in added]
    sets = [f"t.{ours} = s.{theirs}" for ours, theirs in names] + [f"t.{quoted(name)} = NULL" for name in shape.gone]
    into, values = ", ".join(ours for ours, _ in names), ", ".join(f"s.{theirs}" for _, theirs in names)
    deleted, there = deleted_sql(load), ""
    if deleted:
        deleted, there = f"WHEN MATCHED AND s.{quoted(DELETED)} THEN {deleted} ", f" AND NOT s.{quoted(DELETED)}"
    return (
        f"MERGE INTO {table} t USING {source} s ON {same_key(load, 't', 's')} {deleted}"
        f"WHEN MATCHED{there} THEN UPDATE SET {', '.join(sets)} WHEN NOT MATCHED{there} THEN INSERT ({into}) VALUES ({values})"
    )


def deleted_sql(load: Load) -> str:
    """What a MERGE does with rows whose keys the source deleted; nothing for a load that is not of changes.

    One that is marked already keeps its time: a load that is applied twice changes nothing.
    """
    if not load.is_of_changes:
        return ""
    if not load.marks_deleted:
        return "DELETE"
    mark = quoted(name_of_row_column(load, DELETED_AT))
    return f"UPDATE SET t.{mark} = coalesce(t.{mark}, s.{mark})"
