"""What `stream_options` may say about the streams a pattern names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from singer_arrow import settings
from tap_mssql.config import conditions

Text = Annotated[str, Meta(min_length=1)]
INCREMENTAL_ONLY = ("replication_key", "lookback", "start_value", "end_value", "on_new_column", "on_null_replication_key")


class StreamOptions(settings.Settings, frozen=True, kw_only=True):
    """Options of the streams that one pattern names; None where it says nothing of one.

    `lookback` is in seconds for a key that is a date or time, else in its own units.
    """

    label: ClassVar[str] = "pattern"

    pattern: Annotated[
        Text, Meta(description="Pattern of schema.table: `*` is any text, `?` any character.", examples=["Sales.*"])
    ]
    replication_method: Annotated[
        Literal["FULL_TABLE", "INCREMENTAL", "LOG_BASED"] | None,
        Meta(
            description="Whole table each time, only what its replication key says is new, or what Change Tracking says changed."
        ),
    ] = None
    replication_key: Annotated[Text | None, Meta(description="Column whose values only grow; makes the stream INCREMENTAL.")] = (
        None
    )
    where: Annotated[
        Text | None,
        Meta(
            description="Condition in SQL over the table's own columns: only rows that meet it are in the stream. Another one "
            "reads the stream whole once.",
            examples=["Status = 5 AND IsDeleted = 0"],
        ),
    ] = None
    key: Annotated[
        Annotated[tuple[Text, ...], Meta(min_length=1)] | None,
        Meta(description="Columns that identify a row, where the table has no key of its own."),
    ] = None
    lookback: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="How far below the bookmark an incremental load starts again.")
    ] = None
    start_value: Annotated[
        Text | None,
        Meta(description="Backfill: only rows with a replication key from this value on; the bookmark stays where it is."),
    ] = None
    on_new_column: Annotated[
        Literal["", "backfill", "null"], Meta(description="The tap's `on_new_column` for these streams.")
    ] = ""  # None would be what the text null stands for
    on_null_replication_key: Annotated[
        Literal["", "fail", "skip"], Meta(description="The tap's `on_null_replication_key` for these streams.")
    ] = ""
    deletes: Annotated[Literal["", "apply", "mark"], Meta(description="The tap's `deletes` for these streams.")] = ""
    end_value: Annotated[Text | None, Meta(description="Backfill: only rows with a replication key up to this value.")] = None

    @classmethod
    def prepared(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Methods in any case; numbers and dates of YAML as the text one would have written."""
        changed = {name: _as_text(value) if name in ("start_value", "end_value") else value for name, value in config.items()}
        if changed.get("on_new_column", "") is None:
            changed["on_new_column"] = "null"  # YAML without quotes
        method = changed.get("replication_method")
        return changed | ({"replication_method": method.strip().upper()} if isinstance(method, str) else {})

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Keys that name a column twice, conditions that are no one condition, and options without a meaning for a full load."""
        key = values.get("key")
        if key and len({name.lower() for name in key}) < len(key):
            yield "key", "names a column twice"
        if problem := conditions.problem(values.get("where") or ""):
            yield "where", problem
        method = values.get("replication_method")
        if method in ("FULL_TABLE", "LOG_BASED"):
            for name in INCREMENTAL_ONLY:
                if values.get(name) and (method, name) != ("LOG_BASED", "on_new_column"):
                    yield name, "has a meaning for replication_method INCREMENTAL only; remove it"


def _as_text(value: Any) -> Any:
    """A YAML number or date as the text one would have written; a boolean is left to be refused."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def as_list(given: Any) -> Any:
    """`stream_options` as a list of objects with a pattern each, also where it is an object with a key for each pattern.

    Meltano takes the keys of an object in meltano.yml apart at their dots; such an object is left to be refused as no list.
    """
    if isinstance(given, str) and given.strip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError:
            return given
    if not isinstance(given, Mapping) or not all(_is_whole(pattern, said) for pattern, said in given.items()):
        return given
    return [{"pattern": pattern, **said} for pattern, said in given.items()]


def _is_whole(pattern: str, said: Any) -> bool:
    return isinstance(said, Mapping) and ("." in pattern or not any(isinstance(value, Mapping) for value in said.values()))


def merged(options: Iterable[StreamOptions]) -> StreamOptions:
    """One over the other, the last one on top, without a pattern.

    A FULL_TABLE takes away what the ones below it say about replication keys.
    """
    found: dict[str, Any] = {}
    for each in options:
        if each.replication_method == "FULL_TABLE":
            found = {name: value for name, value in found.items() if name not in INCREMENTAL_ONLY}
        elif each.replication_key:
            found.pop("replication_method", None)
        said = msgspec.structs.asdict(each)
        found |= {name: value for name, value in said.items() if value not in (None, "") and name != "pattern"}
    return StreamOptions(pattern="", **found)
