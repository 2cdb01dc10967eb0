"""How a table's columns and a load's columns fit: what is added, widened, or left to NULL. Pure: no engine is asked."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from pyspark.sql import types as T

from lakehouse.job.errors import Refused
from lakehouse.job.loads import Load
from lakehouse.job.types import holds


@dataclass(frozen=True)
class Shape:
    """What makes a load fit into a table that is there.

    `spelling` gives the table's name of each of the load's columns: in Delta, names that differ in case only are one name.
    `added` are columns the table lacks, `widened` those whose type grows, `gone` the source's former columns that the load lacks.
    """

    spelling: dict[str, str]
    added: list[T.StructField] = field(default_factory=list)
    widened: dict[str, T.DataType] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


def shape_of(table: dict[str, T.DataType], load: Load, former: list[str]) -> Shape:
    """The shape of a merge or append; `former` are the columns of the stream's last load, in Delta.

    Raises Refused for a column whose values the table's type does not hold, nor a wider one that is the load's.
    """
    there = {name.lower(): name for name in table}
    spelling: dict[str, str] = {}
    added: list[T.StructField] = []
    widened: dict[str, T.DataType] = {}
    for each in load.schema().fields:
        name = there.get(each.name.lower())
        spelling[each.name] = name or each.name
        if name is None:
            added.append(each)
        elif holds(table[name], each.dataType):
            continue  # equal, or narrower than the table's: its values fit
        elif holds(each.dataType, table[name]):
            widened[name] = each.dataType
        else:
            raise Refused(
                f"column {each.name} is {each.dataType.simpleString()} now and {table[name].simpleString()} in "
                f"{load.manifest['table']}, which does not hold every value of it",
                f"entrypoint.sh refresh {shlex.quote(load.manifest['stream'])} reads the stream whole into its new shape",
            )
    mine = {name.lower() for name in spelling}
    gone = [there[name.lower()] for name in former if name.lower() not in mine and name.lower() in there]
    return Shape(spelling, added, widened, gone)
