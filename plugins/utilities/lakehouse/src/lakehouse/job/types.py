"""Types and names of columns: Arrow as the manifest writes it, Spark as Delta has it."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
WHOLE_DIGITS = {"smallint": 5, "int": 10, "bigint": 19}  # decimal digits that hold every value


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


def holds(wide: T.DataType, narrow: T.DataType) -> bool:
    """Whether every value of the narrow type is one of the wide type exactly."""
    if wide == narrow:
        return True
    one, other = wide.simpleString(), narrow.simpleString()
    if isinstance(wide, T.DecimalType):
        if isinstance(narrow, T.DecimalType):
            return wide.scale >= narrow.scale and wide.precision - wide.scale >= narrow.precision - narrow.scale
        return other in WHOLE_DIGITS and wide.precision - wide.scale >= WHOLE_DIGITS[other]
    if one in WHOLE_DIGITS and other in WHOLE_DIGITS:
        return WHOLE_DIGITS[one] > WHOLE_DIGITS[other]
    return (one, other) == ("double", "float")


def quoted(name: str) -> str:
    """A name for SQL, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def spare(name: str, taken: Iterable[str]) -> str:
    """The name, with underscores behind it until no taken one is like it; case does not count in Delta."""
    known = {each.lower() for each in taken}
    while name.lower() in known:
        name += "_"
    return name


def micros_sql(moment: str) -> str:
    """SQL of the microseconds of a timestamp, with a zone or without, since 1970."""
    return f"unix_micros(cast({moment} as timestamp))"
