"""The type that SQL Server gives two values that meet: in a comparison, in CASE and COALESCE, in a UNION."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.types.sql_types import BINARIES, INTEGERS, MAX, STRINGS, TEMPORAL, WIDE, SqlType

_TIME_ORDER = ("time", "date", "smalldatetime", "datetime", "datetime2", "datetimeoffset")


def compared_as(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type that both sides of a comparison are converted to; None where DuckDB may decide."""
    if left is None or right is None:
        return None
    for kind in (left, right):
        if kind.name in ("sql_variant", "geography"):
            raise NotSupported(f"comparing {kind.name}")
    names = (left.name, right.name)
    times = [kind for kind in (left, right) if kind.name in TEMPORAL]
    if times:
        return max(times, key=lambda kind: (_TIME_ORDER.index(kind.name), kind.scale))
    if "uniqueidentifier" in names:
        return SqlType("uniqueidentifier")
    if all(name in STRINGS | {"hierarchyid"} for name in names):
        return SqlType("nvarchar", MAX)
    if all(name in BINARIES for name in names):
        return SqlType("varbinary", MAX)
    for one, other in ((left, right), (right, left)):
        if one.name in BINARIES and other.name in INTEGERS:
            return other
    for one, other in ((left, right), (right, left)):
        if one.name in STRINGS and other.name not in STRINGS:
            return other
    return None


def widest(types: Iterable[SqlType | None]) -> SqlType | None:
    """The type of CASE, COALESCE and the like; None where DuckDB may decide."""
    kinds = [kind.plain for kind in types if kind is not None]
    if not kinds:
        return None
    common = kinds[0]
    for kind in kinds[1:]:
        if common.name in STRINGS and kind.name in STRINGS:
            length = MAX if MAX in (common.length, kind.length) else max(common.length, kind.length)
            common = SqlType("nvarchar" if "n" in (common.name[0], kind.name[0]) else common.name, length)
        elif common.name in INTEGERS and kind.name in INTEGERS:
            common = max((common, kind), key=lambda one: INTEGERS.index(one.name))
        elif common != kind:
            other = compared_as(common, kind)
            if other is None and common.name != kind.name:
                return None
            common = other or common
    return common


def united(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type of a column of UNION."""
    if left is None or right is None:
        return left or right
    if left.name in STRINGS and right.name in STRINGS:
        length = MAX if MAX in (left.length, right.length) else max(left.length, right.length)
        return replace(right if right.name in WIDE else left, length=length).plain
    return left.plain if left.name == right.name and left.length >= right.length else right.plain
