"""Types and names of columns: Arrow as the manifest writes it, Spark as Delta has it."""

from __future__ import annotations

import re

from pyspark.sql import types as T

from lakehouse.job.errors import Refused

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


def delta_type(arrow: str) -> T.DataType:
    """The Spark type in Delta of an Arrow type as the manifest writes it."""
    found = re.fullmatch(r"decimal128\((\d+), (\d+)\)", arrow)
    if found:
        return T.DecimalType(int(found[1]), int(found[2]))
    if arrow not in SIMPLE:
        raise Refused(f"unknown Arrow type {arrow}")
    return SIMPLE[arrow]


def type_family(arrow: str) -> str:
    """The row of the table of column facts that an Arrow type belongs to."""
    return re.split(r"[\[(]", arrow)[0]


def quoted(name: str) -> str:
    """A name for SQL, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"
