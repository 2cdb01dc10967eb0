"""Columns that the job adds to each row: with which load it came, when, and from which source."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from lakehouse.job.clock import utc_now
from lakehouse.job.errors import Refused
from lakehouse.job.loads import Load
from lakehouse.job.types import quoted, spare

MARK = "_load_id"
DELETED_AT = "_deleted_at"
ROW_COLUMNS: dict[str, T.DataType] = {
    MARK: T.StringType(),
    "_loaded_at": T.TimestampType(),
    "_source": T.StringType(),
    DELETED_AT: T.TimestampType(),
}


def mark_of(load: Load) -> str:
    """The column that marks the rows of appends: `_load_id`, or a name that no column of the source has."""
    return name_of_row_column(load, MARK)


def name_of_row_column(load: Load, name: str) -> str:
    """A column of ours under its name in this load's table: no column of the source has it."""
    return spare(name, (each["column"] for each in load.columns))


def row_fields(load: Load, wanted: Iterable[str]) -> list[T.StructField]:
    """The columns wanted, as the table of this load has them."""
    return [T.StructField(name_of_row_column(load, name), ROW_COLUMNS[name], True) for name in wanted]


def with_row_columns(frame: DataFrame, load: Load, wanted: Iterable[str], deleted: bool = False) -> DataFrame:
    """The load's rows, or the keys that were deleted, with the columns wanted behind them.

    `_loaded_at` is now, `_deleted_at` when the load began, both in UTC.
    """
    values = {MARK: load.load_id, "_source": load.stream[0], "_loaded_at": f"{utc_now():%Y-%m-%dT%H:%M:%S.%f}Z"}
    if deleted:
        values[DELETED_AT] = load.started_at
    added = [
        (F.expr(never_literal(values[name], load)) if name in values else F.lit(None)).cast(each.dataType).alias(each.name)
        for name, each in zip(wanted, row_fields(load, wanted), strict=True)
    ]
    return frame.select("*", *added)


def never_literal(value: str, load: Load) -> str:
    """SQL for a text that may be NULL for the engine, though it never is: a literal makes the table's column NOT NULL (Sail).

    The text it is compared with begins with an exclamation mark, and so does no value here.
    """
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"nullif('{text}', concat('!', cast({quoted(load.columns[0]['column'])} as string)))"


def refuse_turned(load: Load, there: Iterable[str], wanted: Iterable[str], former: Iterable[str]) -> None:
    """Raises Refused where a column of the table was the job's and is the source's now, or the other way round.

    `former` are the columns of the stream's last load, in Delta; none where the ledger does not know them.
    """
    before, now = {name.lower() for name in former}, {each["column"].lower() for each in load.columns}
    for name in {name.lower() for name in there} & ROW_COLUMNS.keys() if before else ():
        if name in now - before or (name in before - now and name in wanted):
            whose = ("the job's", "the source's") if name in now else ("the source's", "the job's")
            raise Refused(
                f"column {name} of {load.table} was {whose[0]} and would be {whose[1]}, in the same rows",
                f"entrypoint.sh refresh {load.manifest['stream']} reads the stream whole, into columns of their own",
            )


def refuse_other_kinds(load: Load, there: dict[str, T.DataType], wanted: Iterable[str]) -> None:
    """Raises Refused where the table has a column of such a name that is of another type: it is somebody else's."""
    kinds = {name.lower(): kind for name, kind in there.items()}
    for each in row_fields(load, wanted):
        kind = kinds.get(each.name.lower(), each.dataType)
        if kind != each.dataType:
            raise Refused(
                f"column {each.name} of {load.table} is {kind.simpleString()}, and the job's own of that name is "
                f"{each.dataType.simpleString()}",
                "rename the table's column, or do without the job's (LAKEHOUSE_ROW_COLUMNS, deletes)",
            )
