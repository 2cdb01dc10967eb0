"""BATCH output without the SDK, whose import takes longer than reading a small table: the same messages, the same state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tap_mssql.errors import SomeFailed
from tap_mssql.plan.stream_choice import Choice, choice, is_selected, refuse, schema_of
from tap_mssql.read.load import Load
from tap_mssql.singer.run import Run, told

log = logging.getLogger("tap-mssql")
Message = dict[str, Any]
State = dict[str, Any]
_ENCODING = {"format": "parquet", "compression": "zstd"}
_IN_PROGRESS = ("progress_markers", "replication_key_signpost", "starting_replication_value")  # the SDK's own


def choices(run: Run, catalog: Mapping[str, Any] | None) -> list[Choice]:
    """The streams that a Singer catalog selects, all of them without one; in the order of their names."""
    tables = {table.stream: table for table in run.tables}
    if catalog is None:
        return [choice(tables[name], run.settings, None) for name in sorted(tables)]
    entries = {entry["tap_stream_id"]: entry for entry in catalog.get("streams", []) if is_selected(entry)}
    gone = sorted(entries.keys() - tables.keys())
    for name in gone:
        log.warning("stream %s is in the catalog, and not in the database (any more): it is not read", name)
    return [choice(tables[name], run.settings, entries[name]) for name in sorted(entries.keys() & tables.keys())]


def sync(run: Run, chosen: Sequence[Choice], state: State, write: Callable[[Message], None]) -> None:
    """Reads all streams; the messages of each are written when its load is complete.

    Raises SelectionRefused or NameRefused before a row is read, SomeFailed after the streams that did not fail are told whole.
    """
    for line in refuse(chosen, run.settings):
        log.warning("left out (on_unreadable): %s", line)
    bookmarks = state.setdefault("bookmarks", {})
    for bookmark in bookmarks.values():
        for name in _IN_PROGRESS:
            bookmark.pop(name, None)
    failed: list[Load] = []
    with run.reading(chosen, bookmarks) as engine:
        for load in engine.ended():
            if load.error is not None:
                failed.append(load)
                continue
            for message in messages(load, bookmarks.setdefault(load.stream, {})):
                write(message)
            write({"type": "STATE", "value": state})
    if failed:
        raise SomeFailed(told(failed, len(chosen)))


def messages(load: Load, bookmark: dict[str, Any]) -> list[Message]:
    """SCHEMA and BATCH of a complete load; its bookmark moves."""
    assert load.document is not None
    move(bookmark, load)
    schema = {
        "type": "SCHEMA",
        "stream": load.stream,
        "schema": schema_of(load.opened.items),
        "key_properties": list(load.wanted.key),
    }
    if load.wanted.cursor:
        schema["bookmark_properties"] = [load.wanted.cursor.name]
    parts = [(load.folder / part.path).absolute().as_uri() for part in load.document.files]
    return [schema, {"type": "BATCH", "stream": load.stream, "encoding": _ENCODING, "manifest": parts}]


def move(bookmark: dict[str, Any], load: Load) -> None:
    """Moves a stream's bookmark to where its load ends; a backfill leaves it."""
    window = load.opened.window
    if window and window.moves_bookmark:
        bookmark.update(replication_key=window.column.name, replication_key_value=window.to)
