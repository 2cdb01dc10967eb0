"""One run of the tap, whatever its output: the source is discovered, and the chosen streams are read side by side."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from singer_arrow import batch
from tap_mssql.config.settings import Settings
from tap_mssql.plan.stream_choice import StreamChoice
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.plan.table_source import TableSource
from tap_mssql.read import spool
from tap_mssql.read.limits import ReadLimits
from tap_mssql.read.load import Load
from tap_mssql.read.scheduler import Scheduler
from tap_mssql.read.spool import Spool
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, connect
from tap_mssql.server.retry import retrying
from tap_mssql.server.session import Session
from tap_mssql.server.table import Table

RESTARTS = 3  # of a load whose table changes while it is read (on_schema_drift: evolve)
RUN_ID = os.environ.get("MELTANO_RUN_ID") or str(uuid.uuid4())


class Run:
    """What a run knows of its source. `batch_config` as the SDK defines it, empty for RECORD output.

    `wanted`: the only streams that it will read, where that is known before it asks the server for any.
    """

    def __init__(self, settings: Settings, batch_config: Mapping[str, Any] | None, wanted: Collection[str] | None = None) -> None:
        self._wanted = wanted
        self.settings = settings
        self._batch_config = batch_config or {}
        self.isolation = "READ COMMITTED"  # until the database was asked, with its tables

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that is closed afterwards."""
        connection = connect(self.settings)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session for questions, which connects with the first one, and is closed afterwards."""
        session = Session(self.settings, "READ COMMITTED")
        try:
            yield session
        finally:
            session.close()

    @cached_property
    def tables(self) -> list[Table]:
        """The database's tables and views that `streams` and `filter_dbs` let through, and the queries; only the wanted."""
        for attempt in retrying(self.settings, f"discovery in {self.settings.where}", safe="Nothing was read"):
            with attempt, self.connection() as connection:
                self.isolation = _isolation(connection, self.settings)
                found = discovery.discover(connection, self.settings, self._wanted)
                if self.settings.default_replication_method == "auto":
                    tracked = discovery.tracked(connection)
                    found = [replace(table, is_tracked=table.object_id in tracked) for table in found]
        return found

    def reading(
        self, choices: Sequence[StreamChoice], bookmarks: Mapping[str, Mapping[str, Any]]
    ) -> AbstractContextManager[Scheduler]:
        """Readers at work on the streams, in the spool that batch_config names, or in a temporary one."""
        return self.reading_requests([c.request(bookmarks.get(c.stream, {})) for c in choices])

    @contextmanager
    def reading_requests(self, requests: Sequence[TableRequest]) -> Iterator[Scheduler]:
        """The same for requests that are made already."""
        with self.spool() as root, spool.locked(root):
            loads = [Load(request, Spool(root, request.stream), RUN_ID) for request in requests]
            sources = [TableSource(self.settings, self.isolation) for _ in range(self.settings.max_parallel)]
            scheduler = Scheduler(loads, sources, _limits(self.settings))
            with scheduler.running():
                yield scheduler

    @contextmanager
    def spool(self) -> Iterator[Path]:
        """The folder of parts that are not adopted yet. Raises SelectionRefused for one that is no local folder."""
        if not self._batch_config:
            import tempfile  # with all that it imports, as long as a question to the server

            with tempfile.TemporaryDirectory(prefix="tap-mssql-") as folder:
                yield Path(folder)
            return
        yield batch.folder(self._batch_config)


def _isolation(connection: Connection, settings: Settings) -> str:
    """SNAPSHOT where the database allows it or the settings insist, else READ COMMITTED."""
    if settings.snapshot != "auto":
        return "SNAPSHOT" if settings.snapshot == "always" else "READ COMMITTED"
    with connection.execute("SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()") as cursor:
        row = cursor.fetchone()
    return "SNAPSHOT" if row and row[0] == 1 else "READ COMMITTED"


def _limits(settings: Settings) -> ReadLimits:
    return ReadLimits(
        readers=settings.max_parallel,
        memory_bytes=settings.memory_mib << 20,
        query_seconds=settings.max_query_seconds,
        rows_per_second=settings.max_rows_per_second,
        range_rows=settings.range_rows,
        part_rows=settings.part_rows,
        batch_rows=settings.cursor_array_size,
        resume_hours=settings.resume_hours,
        restarts=RESTARTS if settings.on_schema_drift == "evolve" else 0,
        progress_seconds=settings.progress_seconds,
    )
