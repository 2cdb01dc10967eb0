"""Discovery and BATCH output without the SDK: the same catalog, the same messages, the same state.

Gain: 0.4 of 0.7 CPU seconds of each start, which is more than reading a small table takes (median of 13).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from singer_arrow import again, batch, catalog, noted
from singer_arrow.batch import Message, State
from singer_arrow.bookmarks import columns_of
from singer_arrow.errors import Failure
from tap_mssql.config.settings import Settings
from tap_mssql.plan import stream_choice
from tap_mssql.plan.stream_choice import StreamChoice, json_schema
from tap_mssql.read.load import Load
from tap_mssql.server.table import Table
from tap_mssql.singer.run import Run

log = logging.getLogger("tap-mssql")


def discover(run: Run) -> dict[str, Any]:
    """The Singer catalog of the source's tables and views, with what the server says of each in its metadata."""
    return {"streams": [_discovered(stream_choice.choose(table, run.settings, None), run.settings) for table in run.tables]}


def _discovered(choice: StreamChoice, settings: Settings) -> dict[str, Any]:
    schema = stream_choice.discovered_schema(choice.table, settings)
    method = choice.replication_method
    more = table_metadata(choice.table)
    if choice.is_incremental or choice.is_log_based:  # by the settings, which come before what a catalog says
        more["forced-replication-method"] = method
    return catalog.entry(choice.stream, schema, choice.key, choice.replication_key, method, more)


def table_metadata(table: Table) -> dict[str, Any]:
    """What the server says of a table, for its metadata in the catalog: rows and bytes are the server's estimates."""
    facts = {"row-count": table.row_estimate, "size-bytes": table.byte_estimate, "description": table.description or None}
    known = {name: value for name, value in facts.items() if value is not None}
    return {"schema-name": table.schema, "is-view": table.is_view, **known}


def choices(run: Run, given: Mapping[str, Any] | None) -> list[StreamChoice]:
    """The streams that a Singer catalog selects, all of them without one; in the order of their names."""
    tables = {table.stream: table for table in run.tables}
    if given is None:
        return [stream_choice.choose(tables[name], run.settings, None) for name in sorted(tables)]
    entries = catalog.selected(given)
    gone = sorted(entries.keys() - tables.keys())
    for name in gone:
        log.warning("stream %s is in the catalog, but not in the database: it is not read", name)
    return [stream_choice.choose(tables[name], run.settings, entries[name]) for name in sorted(entries.keys() & tables.keys())]


def sync(run: Run, chosen: Sequence[StreamChoice], state: State, write: Callable[[Message], None]) -> None:
    """Reads all streams; the messages of each are written when its load is complete.

    Raises SelectionRefused before a row is read, SomeFailed after the messages of the streams that did not fail.
    """
    refused = stream_choice.check(chosen, run.settings)
    readable = [choice for choice in chosen if choice.stream not in refused]
    for line in stream_choice.left_out(readable):
        log.warning("left out (on_unreadable: skip): %s", line)
    bookmarks = batch.bookmarks(state)
    failed: list[Failure] = list(refused.values())
    with run.reading(readable, bookmarks) as scheduler:
        for load in scheduler.ended():
            if load.error is not None:
                failed.append(load.error)
                continue
            table = f"{run.settings.database}.{load.opened.source_schema}.{load.opened.source_table}"
            noted.dataset(load.stream, run.settings.dataset_namespace, table, load.load_id)
            if load.document is None:
                log.info("stream %s", "; ".join([f"{load.stream}: nothing has changed", *load.opened.notes]))
                continue
            for message in messages(load, bookmarks.setdefault(load.stream, {})):
                write(message)
            write({"type": "STATE", "value": state})
    if failed:
        raise batch.failure(failed, len(chosen))


def messages(load: Load, bookmark: dict[str, Any]) -> list[Message]:
    """SCHEMA and BATCH of a complete load; its bookmark moves."""
    assert load.document is not None
    move(bookmark, load)
    plan = load.opened
    schema = json_schema(plan.schema, plan.source_types)
    parts = [load.folder / part.path for part in load.document.files]
    return batch.messages(load.stream, schema, plan.key_columns, plan.window.column if plan.window else None, parts)


def move(bookmark: dict[str, Any], load: Load) -> None:
    """Moves a stream's bookmark to where its load ends, with the columns that it read; a backfill leaves it.

    But for the rows that come again: a backfill may have read others of them. A table that was read whole without a window has
    none: it holds rows behind whatever an earlier load by another method had come to.
    """
    plan = load.opened
    if plan.mode == "overwrite" and not plan.window:
        bookmark.clear()
        return
    if not plan.window or not plan.moves_bookmark:
        again.move(bookmark, None)
        return
    bookmark.clear()
    bookmark.update(columns=columns_of(plan.schema), **plan.mark)
    if plan.window.column is None:
        bookmark["change_version"] = int(plan.window.to or 0)
    else:
        bookmark.update(replication_key=plan.window.column, replication_key_value=plan.window.to)
    again.move(bookmark, load.again)
