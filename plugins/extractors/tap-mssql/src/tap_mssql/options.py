"""What `stream_options` may say about the streams a pattern names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from singer_arrow.settings import Problem, checked

Text = Annotated[str, Meta(min_length=1)]
INCREMENTAL_ONLY = ("replication_key", "lookback", "start_value", "end_value")


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the streams of one pattern; None where it says nothing of one.

    `lookback` is in seconds for a key that is a date or time, else in its own units.
    """

    replication_method: Annotated[
        Literal["FULL_TABLE", "INCREMENTAL"] | None,
        Meta(description="Whole table each time, or only what its replication key says is new."),
    ] = None
    replication_key: Annotated[Text | None, Meta(description="Column whose values only grow; makes the stream INCREMENTAL.")] = (
        None
    )
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
    end_value: Annotated[Text | None, Meta(description="Backfill: only rows with a replication key up to this value.")] = None


def _as_text(value: Any) -> Any:
    """A YAML number or date as the text one would have written; a boolean is left to be refused."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _as_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _as_method(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


_NORMAL: dict[str, Callable[[Any], Any]] = {
    "replication_method": _as_method,
    "key": _as_list,
    "start_value": _as_text,
    "end_value": _as_text,
}


def checked_each(given: Mapping[str, Any]) -> tuple[dict[str, StreamOptions], list[Problem]]:
    """The options of each pattern, and every problem of theirs, as `pattern.option`."""
    found: dict[str, StreamOptions] = {}
    problems: list[Problem] = []
    for pattern, said in given.items():
        if not isinstance(said, Mapping):
            problems.append((pattern, "must be an object of options"))
            continue
        one, wrong = checked(StreamOptions, {n: _NORMAL[n](value) if n in _NORMAL else value for n, value in said.items()})
        if one is not None:
            found[pattern] = one
            wrong = _together(one)
        problems += [(f"{pattern}.{name}", what) for name, what in wrong]
    return found, problems


def _together(options: StreamOptions) -> list[Problem]:
    problems = []
    if options.key and len({name.lower() for name in options.key}) < len(options.key):
        problems.append(("key", "names a column twice"))
    if options.replication_method == "FULL_TABLE":
        given = [name for name in INCREMENTAL_ONLY if getattr(options, name)]
        problems += [(name, "only for replication_method INCREMENTAL") for name in given]
    return problems


def merged(options: Iterable[StreamOptions]) -> StreamOptions:
    """One over the other, the last one on top; a FULL_TABLE takes away what the ones below it say about replication keys."""
    found: dict[str, Any] = {}
    for each in options:
        if each.replication_method == "FULL_TABLE":
            found = {name: value for name, value in found.items() if name not in INCREMENTAL_ONLY}
        elif each.replication_key:
            found.pop("replication_method", None)
        found |= {name: value for name, value in msgspec.structs.asdict(each).items() if value is not None}
    return StreamOptions(**found)
