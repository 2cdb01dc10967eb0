"""A bookmark's columns, compared with those of the next load (docs/contracts.md, Manifest).

Beside `replication_key` and `replication_key_value` the bookmark of an incremental stream holds `columns`: each column that its
loads have read so far, with its Arrow type as text. What is not the same any more is decided here, before a row is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from singer_arrow.errors import SelectionRefused

if TYPE_CHECKING:
    import pyarrow as pa

KEY = "key_columns"  # in a bookmark: the key that its loads were merged by; none where they were appended
JSON = "json_columns"  # in a bookmark: those of its columns that nobody declared and that hold JSON text; absent for none
OnNewColumn = Literal["backfill", "null"]
Columns = Mapping[str, str]

_INTEGER_DIGITS = {"int16": 5, "int32": 10, "int64": 19}
_DECIMAL = r"decimal128\((\d+), (\d+)\)"
_WIDER = {("float", "double"), ("time64[us]", "time64[ns]")}


class ColumnChanges(NamedTuple):
    """What the difference asks for: whether this load reads the stream whole, and what a reader of the load should know."""

    reads_whole: bool = False
    notes: tuple[str, ...] = ()


def position(bookmark: Mapping[str, Any]) -> Any:
    """Up to where a stream is read: a value of its replication key, or a version of its table; None for one without."""
    return bookmark.get("replication_key_value", bookmark.get("change_version"))


def columns_of(schema: pa.Schema) -> dict[str, str]:
    """The columns of a load as its bookmark holds them: name and Arrow type as text."""
    return {field.name: str(field.type) for field in schema}


def known_columns(bookmark: Mapping[str, Any]) -> Columns | None:
    """The columns that a bookmark holds; None where it is of an older version, which did not write them."""
    found = bookmark.get("columns")
    return found if isinstance(found, Mapping) else None


def other_key(bookmark: Mapping[str, Any], now: Sequence[str]) -> tuple[str, ...]:
    """What is said where a bookmark is of another key than the stream has now: rows were merged by that, or not at all.

    Nothing of a bookmark of an older version, which does not hold it.
    """
    before = bookmark.get(KEY)
    if not isinstance(before, list) or {*before} == {*now}:
        return ()
    was, is_now = (", ".join(map(str, each)) or "none" for each in (before, now))
    return (f"its key was ({was}) and is ({is_now}): this load reads the stream whole",)


def compare(
    stream: str, before: Columns | None, now: Columns, on_new_column: OnNewColumn, is_backfill: bool = False
) -> ColumnChanges:
    """What becomes of an incremental load whose columns are not those of its bookmark. `before` is None where it holds none.

    `is_backfill`: the load reads a window that was set, and therefore not the whole stream; the bookmark stays.
    Raises SelectionRefused, naming the columns, where rows of both shapes would not fit into one table.
    """
    if before is None:
        return ColumnChanges()
    old = {name.lower(): name for name in before}
    kept = {name: old[name.lower()] for name in now if name.lower() in old}
    new = [name for name in now if name not in kept]
    gone = [name for name in before if name not in kept.values()]
    problems = [
        f"column {name} was {before[kept[name]]} and is {now[name]}, which does not hold all that the column held"
        for name in kept
        if not holds(before[kept[name]], now[name])
    ]
    if new and gone and on_new_column == "null":
        problems.append(f"{_named(gone)} gone and {_named(new)} new at once, as after a rename (on_new_column: null)")
    if problems:
        import shlex

        changed = [name for name in kept if not holds(before[kept[name]], now[name])]
        raise SelectionRefused(
            f"stream {stream}: {'; '.join(problems)}",
            safe="Nothing of this stream was read, Delta is as it was",
            action=f"type entrypoint.sh refresh {shlex.quote(stream)} to read the stream whole into its new shape, or deselect "
            f"{', '.join(changed or new)}",
        )
    reads_whole = bool(new) and on_new_column == "backfill" and not is_backfill
    return ColumnChanges(reads_whole, tuple(_notes(new, gone, reads_whole, is_backfill and on_new_column == "backfill")))


def holds(before: str, now: str) -> bool:
    """Whether an Arrow type holds every value of another one, of the same kind. Both as text."""
    if before == now or (before, now) in _WIDER:
        return True
    if before in _INTEGER_DIGITS and now in _INTEGER_DIGITS:
        return _INTEGER_DIGITS[before] < _INTEGER_DIGITS[now]
    to = re.fullmatch(_DECIMAL, now)
    of = re.fullmatch(_DECIMAL, before)
    if to is None or not (of or before in _INTEGER_DIGITS):
        return False
    whole, behind = (int(of[1]) - int(of[2]), int(of[2])) if of else (_INTEGER_DIGITS[before], 0)
    return int(to[1]) - int(to[2]) >= whole and int(to[2]) >= behind


def _notes(new: list[str], gone: list[str], reads_whole: bool, is_put_off: bool) -> Iterator[str]:
    if new and reads_whole:
        yield f"{_named(new)} new: this load reads the stream whole, and replaces its table (on_new_column: backfill)"
    elif new and is_put_off:
        yield f"{_named(new)} new: other rows hold NULL in it until the next load without a window, which reads the stream whole"
    elif new:
        yield f"{_named(new)} new: rows that were read before hold NULL in it (on_new_column: null)"
    if gone and reads_whole:
        yield f"{_named(gone)} gone or deselected: the new table is without it"
    elif gone:
        yield f"{_named(gone)} gone or deselected: rows that are updated hold NULL in it from now on"


def _named(columns: list[str]) -> str:
    """`column a is`, `columns a, b are`."""
    return f"column {columns[0]} is" if len(columns) == 1 else f"columns {', '.join(columns)} are"
