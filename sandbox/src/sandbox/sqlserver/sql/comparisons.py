"""Values as DuckDB expressions that compare, sort and group as SQL Server does it."""

from __future__ import annotations

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql import collation_keys
from sandbox.sqlserver.sql.conversions import coerce
from sandbox.sqlserver.sql.scope import Typed, is_text
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.sql.type_rules import compared_as
from sandbox.sqlserver.types.sql_types import BINARIES, WIDE, SqlType

_FIXED_WIDTH = frozenset({"binary", "rowversion"})


def compare(statement: Statement, operator: str, left: Typed, right: Typed) -> str:
    """A comparison after SQL Server's implicit conversions."""
    a, b = comparable(statement, left, right)
    return f"({a} {operator} {b})"


def comparable(statement: Statement, left: Typed, right: Typed) -> tuple[str, str]:
    """Both sides as DuckDB expressions that compare as SQL Server compares the two."""
    common = compared_as(left.kind, right.kind)
    if common is None:
        return left.sql, right.sql
    a, b = coerce(statement, left, common), coerce(statement, right, common)
    if is_text(common):
        name = common_collation(statement, left, right)
        wide = any(side.kind is not None and side.kind.name in WIDE for side in (left, right))
        return collation_keys.key(a, name, wide), collation_keys.key(b, name, wide)
    if common.name == "datetimeoffset":
        return f"({a} // 4096)", f"({b} // 4096)"
    if common.name in BINARIES and not _same_width(left.kind, right.kind):
        return f"key_binary({a})", f"key_binary({b})"
    return a, b


def sort_key(statement: Statement, value: Typed) -> str:
    """A DuckDB expression that sorts and groups as SQL Server does; the value itself where that is the same."""
    if value.kind is None:
        return value.sql
    if is_text(value.kind):
        return collation_keys.key(value.sql, common_collation(statement, value), value.kind.name in WIDE)
    if value.kind.name == "datetimeoffset":
        return f"({value.sql} // 4096)"
    return f"key_binary({value.sql})" if value.kind.name in ("varbinary", "image") else value.sql


def common_collation(statement: Statement, *sides: Typed) -> str:
    """The collation by which texts are compared. Raises SqlError 468 where two contradict each other."""
    label = max(side.label for side in sides)
    default = statement.catalog.collation
    texts = [side.kind for side in sides if side.label == label and side.kind is not None]
    names = list(dict.fromkeys(kind.collation or default for kind in texts if is_text(kind)))
    if len({name.lower() for name in names}) > 1:
        raise SqlError(
            468,
            f'Cannot resolve the collation conflict between "{names[1]}" and "{names[0]}" in the equal to operation.',
        )
    return names[0] if names and label else default


def _same_width(left: SqlType | None, right: SqlType | None) -> bool:
    """Whether two binary values always have the same number of bytes."""
    sides = [side for side in (left, right) if side is not None and side.name in _FIXED_WIDTH]
    return len(sides) == 2 and sides[0].length == sides[1].length
