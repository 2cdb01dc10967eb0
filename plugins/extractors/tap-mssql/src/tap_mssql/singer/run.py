"""One run of the tap, whatever its output: the source is discovered, and the chosen streams are read side by side."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from tap_mssql.config.settings import Settings
from tap_mssql.errors import SelectionRefused
from tap_mssql.plan.stream_choice import Choice
from tap_mssql.read import spool
from tap_mssql.read.load import Load, Wanted
from tap_mssql.read.scheduler import Engine
from tap_mssql.read.spool import Spool
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, connect
from tap_mssql.server.discovery import Table
from tap_mssql.server.retry import retrying

RUN_ID = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())


class Run:
    """What a run knows of its source; `batch_config` as the SDK defines it, empty for RECORD output."""

    def __init__(self, settings: Settings, batch_config: Mapping[str, Any] | None) -> None:
        self.settings = settings
        self._batch_config = batch_config or {}
        self._isolation = "READ COMMITTED"

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that is closed afterwards."""
        connection = connect(self.settings)
        try:
            yield connection
        finally:
            connection.close()

    @cached_property
    def tables(self) -> list[Table]:
        """The database's tables and views that `streams` and `filter_dbs` let through."""
        for attempt in retrying(self.settings, f"discovery in {self.settings.where}", kept="Nothing was read"):
            with attempt, self.connection() as connection:
                self._isolation = _isolation(connection, self.settings)
                found = discovery.discover(connection, self.settings)
        return found

    @contextmanager
    def reading(self, choices: Sequence[Choice], bookmarks: Mapping[str, Mapping[str, Any]]) -> Iterator[Engine]:
        """Readers at work on the streams, in the spool that batch_config names, or in a temporary one."""
        by_stream = {choice.stream: choice for choice in choices}
        with self.spool() as root, spool.locked(root):
            loads = [Load(c.wanted(bookmarks.get(c.stream, {})), Spool(root, c.stream), RUN_ID) for c in choices]
            engine = Engine(
                self.settings, loads, self._isolation, lambda wanted, now: _adapted(wanted, now, by_stream[wanted.stream])
            )
            with engine.running():
                yield engine

    @contextmanager
    def spool(self) -> Iterator[Path]:
        """The folder of parts that are not adopted yet. Raises SelectionRefused for one that is no local folder."""
        if not self._batch_config:
            with tempfile.TemporaryDirectory(prefix="tap-mssql-") as folder:
                yield Path(folder)
            return
        storage = self._batch_config.get("storage") or {}
        root = urlparse(str(storage.get("root") or ""))
        if root.scheme not in ("", "file") or not root.path:
            raise SelectionRefused(f"batch_config.storage.root {storage.get('root')}: parts are written to file:// folders only")
        yield Path(unquote(root.path), storage.get("prefix") or "")


def _isolation(connection: Connection, wanted: Settings) -> str:
    """SNAPSHOT where the database allows it or the settings insist, else READ COMMITTED."""
    if wanted.snapshot != "auto":
        return "SNAPSHOT" if wanted.snapshot == "always" else "READ COMMITTED"
    with connection.execute("SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()") as cursor:
        row = cursor.fetchone()
    return "SNAPSHOT" if row and row[0] == 1 else "READ COMMITTED"


def _adapted(wanted: Wanted, now: Table, choice: Choice) -> Wanted:
    """What a stream asks for of its table as it is now: the columns it selected, and those that were not there to be chosen.

    Raises SelectionRefused where its key or replication key is gone.
    """
    known = {c.name for c in wanted.table.columns}
    chosen = {c.name for c in wanted.columns}
    columns = tuple(c for c in now.columns if c.name in chosen or c.name not in known)
    key = choice.options.key or now.key
    cursor = now.column(wanted.cursor.name) if wanted.cursor else None
    gone = [name for name in key if now.column(name) is None] + ([wanted.cursor.name] if wanted.cursor and not cursor else [])
    if gone or (now.schema, now.name) != (wanted.table.schema, wanted.table.name):
        what = f"{', '.join(gone)} is gone from {now.schema}.{now.name}" if gone else f"it is called {now.schema}.{now.name} now"
        raise SelectionRefused(f"stream {wanted.stream}: {what}; nothing of it is staged; discover again")
    return dataclasses.replace(wanted, table=now, columns=columns, key=tuple(key), cursor=cursor)


def told(failed: Sequence[Load], streams: int) -> str:
    """What failed, by stream, and what is safe."""
    texts = [str(load.error) for load in failed]
    if streams == 1:
        return texts[0]
    lines = "\n".join(f"  {text}" for text in texts)
    return f"{len(failed)} of {streams} streams failed; the other {streams - len(failed)} are complete and staged.\n{lines}"
