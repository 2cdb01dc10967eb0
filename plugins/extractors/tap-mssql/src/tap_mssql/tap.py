"""The tap: discovery into streams, and their loads read side by side."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlparse

import click

from singer_arrow import names
from tap_mssql import catalog, query, records, settings, spool
from tap_mssql import doctor as doctors
from tap_mssql import plan as plans
from tap_mssql.catalog import Table
from tap_mssql.connect import Connection, connect
from tap_mssql.engine import Engine
from tap_mssql.errors import SelectionRefused, SomeFailed
from tap_mssql.items import items
from tap_mssql.load import Load, Wanted
from tap_mssql.retry import retrying
from tap_mssql.sdk import BatchConfig, Tap, _ConfigInput
from tap_mssql.spool import Spool
from tap_mssql.stream import RUN_ID, TableStream


class TapMssql(Tap):
    """Singer tap for SQL Server."""

    name = "tap-mssql"
    package_name = "tap-mssql"
    dynamic_catalog = True
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": settings.json_schema()["properties"]}

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Our own check: every problem at once, with the setting's name (the SDK's stops at JSON types)."""
        self.settings = settings.parse(dict(self.config))
        return []

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command, with --plan and --doctor."""
        command = super().get_singer_command()
        command.params += [
            click.Option(["--plan"], is_flag=True, help="Says what would be read and how; reads no table."),
            click.Option(
                ["--doctor"], is_flag=True, help="Looks at network, TLS, login, permissions, clock, disk; exit 3 if one fails."
            ),
            click.Option(["--json", "as_json"], is_flag=True, help="--plan and --doctor as JSON."),
        ]
        return command

    @classmethod
    def invoke(cls, *, plan: bool = False, doctor: bool = False, as_json: bool = False, **given: Any) -> None:
        """Runs what the command line asks for."""
        if not (plan or doctor):
            super().invoke(**given)
            return
        config = given["config"] or _ConfigInput()
        files = {name: json.load(given[name]) for name in ("catalog", "state") if given.get(name) and plan}
        tap = cls(config=config.config, parse_env_config=config.parse_env, setup_mapper=plan, **files)
        if doctor:
            with tap._spool() as root:
                raise SystemExit(doctors.main(tap.settings, as_json, root))
        steps = [plans.step(stream.wanted(), tap.settings) for stream in tap.selected().values()]
        sys.stdout.write(plans.as_json(steps) if as_json else plans.as_table(steps))

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
                self._isolation = isolation(connection, self.settings)
                found = catalog.discover(connection, self.settings)
                # A link that is cut between two rows looks like their end: the server must answer once more.
                connection.execute("SELECT 1").close()
        return found

    def discover_streams(self) -> list[TableStream]:
        """One stream per table and view."""
        method = self.settings.default_replication_method
        streams = [TableStream(self, table, self.settings.options_of(table.schema, table.name)) for table in self.tables]
        for stream in streams:
            if method == "INCREMENTAL" and stream.replication_key:
                stream.forced_replication_method = method
        return streams

    # --- reading -------------------------------------------------------------------------------------------------------

    def sync_all(self) -> None:  # type: ignore[misc]  # final in the SDK, which knows only streams one after the other
        """Reads all selected streams; each one's messages are written when its load is complete.

        Raises SomeFailed when streams failed, after those that did not are told whole.
        """
        self._reset_state_progress_markers()
        if self.state:
            self._state_writer.write_state(self.state)
        streams = self.selected()
        failed: list[Load] = []
        with self._engine(streams) as engine:
            for load in engine.ended():
                if load.error is not None:
                    failed.append(load)
                    continue
                stream = streams[load.stream]
                stream.adopt(load)
                stream.sync()
                stream.finalize_state_progress_markers()
        if failed:
            raise SomeFailed(told(failed, len(streams)))

    def selected(self) -> dict[str, TableStream]:
        """The selected streams by name. Raises SelectionRefused or NameRefused for what could not arrive; no row is read."""
        chosen = [s for s in self.streams.values() if isinstance(s, TableStream) and s.selected]
        if not chosen:
            raise SelectionRefused("no stream is selected; see `meltano select tap-mssql --list --all`")
        self._refuse_unreadable(chosen)
        names.refuse_collisions((s.name, names.table_name(s.table.schema, s.table.name)) for s in chosen)
        for stream in chosen:
            names.column_names(stream.name, [i.name for i in items(stream.name, stream.columns, self.settings)])
            stream.wanted()
        return {s.name: s for s in chosen}

    def _refuse_unreadable(self, chosen: Sequence[TableStream]) -> None:
        found = [f"  {s.name}.{c.name}: {c.unreadable}" for s in chosen for c in s.unreadable]
        if found and self.settings.on_unreadable == "fail":
            raise SelectionRefused(
                "columns that can't be read are selected; nothing was read. Deselect them, or set on_unreadable to skip:\n"
                + "\n".join(found)
            )
        for line in found:
            self.logger.warning("left out (on_unreadable):%s", line)

    @property
    def catalog_dict(self) -> dict[str, Any]:
        """The SDK's catalog, with what the server says of each table in its metadata."""
        catalog_ = super().catalog_dict
        tables = {table.stream: table for table in self.tables}
        for entry in catalog_.get("streams", []):
            table = tables[entry["tap_stream_id"]]
            [root] = [m["metadata"] for m in entry["metadata"] if not m["breadcrumb"]]
            root |= {"schema-name": table.schema, "is-view": table.is_view}
            told = {"row-count": table.row_estimate, "size-bytes": table.byte_estimate, "description": table.description or None}
            root |= {name: value for name, value in told.items() if value is not None}
        return catalog_

    @contextmanager
    def read(self, stream: TableStream) -> Iterator[Load]:
        """The complete load of a stream: the one it was given, else read here. Raises what ended it."""
        if stream.load is not None:
            yield stream.load
            return
        with self._engine({stream.name: stream}) as engine:
            load = next(engine.ended())
            if load.error is not None:
                raise load.error
            stream.adopt(load)
            yield load
            stream.load = None

    @contextmanager
    def _engine(self, streams: dict[str, TableStream]) -> Iterator[Engine]:
        """Readers at work on the streams, in the spool that batch_config names, or in a temporary one for records."""
        with self._spool() as root, spool.locked(root):
            loads = [Load(s.wanted(), Spool(root, s.name), RUN_ID) for s in streams.values()]
            engine = Engine(
                self.settings, loads, self._isolation, lambda wanted, now: adapted(wanted, now, streams[wanted.stream])
            )
            with engine.running():
                yield engine

    @contextmanager
    def _spool(self) -> Iterator[Path]:
        if not self.config.get("batch_config"):
            with tempfile.TemporaryDirectory(prefix="tap-mssql-") as folder:
                yield Path(folder)
            return
        storage = BatchConfig.from_dict(self.config["batch_config"]).storage
        root = urlparse(storage.root)
        if root.scheme not in ("", "file"):
            raise SelectionRefused(f"batch_config.storage.root {storage.root}: parts are written to file:// only")
        yield Path(unquote(root.path), storage.prefix or "")

    def sample(self, wanted: Wanted, rows: int) -> Iterator[dict[str, Any]]:
        """Some rows as records, for the SDK's connection test."""
        chosen = items(wanted.stream, wanted.columns, self.settings)
        sql = query.rows(wanted.table, [i.expression for i in chosen], "", None).replace(
            "SELECT ", f"SELECT TOP ({rows + 1}) ", 1
        )
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            batch = cursor.arrow_batch(rows + 1)
            yield from records.records(records.cast(batch, chosen))


def isolation(connection: Connection, wanted: settings.Settings) -> str:
    """SNAPSHOT where the database allows it or the settings insist, else READ COMMITTED."""
    if wanted.snapshot != "auto":
        return "SNAPSHOT" if wanted.snapshot == "always" else "READ COMMITTED"
    with connection.execute("SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()") as cursor:
        row = cursor.fetchone()
    return "SNAPSHOT" if row and row[0] == 1 else "READ COMMITTED"


def adapted(wanted: Wanted, now: Table, stream: TableStream) -> Wanted:
    """What a stream asks for of its table as it is now: the columns it selected, and those that were not there to be chosen.

    Raises SelectionRefused where its key or replication key is gone.
    """
    known = {c.name for c in wanted.table.columns}
    chosen = {c.name for c in wanted.columns}
    columns = tuple(c for c in now.columns if c.name in chosen or c.name not in known)
    key = stream.options.key or now.key
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
    others = streams - len(failed)
    return f"{len(failed)} of {streams} streams failed; the other {others} are complete and staged.\n" + "\n".join(
        f"  {t}" for t in texts
    )
