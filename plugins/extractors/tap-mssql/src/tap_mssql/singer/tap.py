"""The tap as the SDK knows it: discovery, the command line, RECORD output; reading itself is run.py's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import click

from singer_arrow import batch, exits
from singer_arrow.errors import ArrowSingerError, Failure
from singer_arrow.settings import json_schema
from tap_mssql.config import settings
from tap_mssql.plan import statements, stream_choice
from tap_mssql.plan.select_list import in_declared_types, select_list
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.read.load import Load
from tap_mssql.singer import batch_output, record_output
from tap_mssql.singer.late_sdk import Tap, _ConfigInput
from tap_mssql.singer.run import Run
from tap_mssql.singer.stream import TableStream


class TapMssql(Tap):
    """Singer tap for SQL Server."""

    name = "tap-mssql"
    package_name = "tap-mssql"
    dynamic_catalog = True
    config_jsonschema: ClassVar[dict[str, Any]] = {"type": "object", "properties": json_schema(settings.Settings)["properties"]}

    def _setup_signal_handlers(self) -> None:
        """Ours end the program with a code of their own; the SDK's would end it with 0, as if it were complete."""
        exits.on_signals(self.name)

    def __init__(self, *given: Any, catalog: Any = None, **options: Any) -> None:
        # The SDK keeps of a catalog's metadata only what it knows itself, and replication-method is not among it.
        streams = catalog.get("streams", []) if isinstance(catalog, Mapping) else []
        self.entries = {entry["tap_stream_id"]: entry for entry in streams}
        super().__init__(*given, catalog=catalog, **options)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Our own check: every problem at once, with the setting's name (the SDK's stops at JSON types)."""
        self.settings = settings.parse(dict(self.config))
        self.run = Run(self.settings, self.config.get("batch_config"))
        return []

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """The SDK's command, with --plan, --doctor, --reconcile and --repair."""
        command = super().get_singer_command()
        command.params += [
            click.Option(["--plan"], is_flag=True, help="Shows what would be read and how; reads no table."),
            click.Option(
                ["--doctor"], is_flag=True, help="Checks network, TLS, login, permissions, clock and disk; exit 3 if one fails."
            ),
            click.Option(["--login"], is_flag=True, help="--doctor, no further than the login."),
            click.Option(["--reconcile"], metavar="FILE", help="Writes what the tables hold now, range by range, into FILE."),
            click.Option(["--repair"], metavar="FILE", help="Reads the ranges again that differ, as FILE says."),
            click.Option(["--only"], multiple=True, metavar="STREAM", help="Of the selected streams, for --reconcile."),
            click.Option(["--json", "as_json"], is_flag=True, help="--plan and --doctor as JSON."),
        ]
        return command

    @classmethod
    def invoke(
        cls,
        *,
        plan: bool = False,
        doctor: bool = False,
        login: bool = False,
        reconcile: str | None = None,
        repair: str | None = None,
        only: Sequence[str] = (),
        as_json: bool = False,
        **given: Any,
    ) -> None:
        """Runs what the command line asks for."""
        if not (plan or doctor or reconcile or repair):
            super().invoke(**given)
            return
        config = given["config"] or _ConfigInput()
        files = {name: json.load(given[name]) for name in ("catalog", "state") if given.get(name) and not doctor}
        tap = cls(config=config.config, parse_env_config=config.parse_env, setup_mapper=not doctor, **files)
        if doctor:
            from tap_mssql.doctor import report

            with tap.run.spool() as root:
                raise SystemExit(report.main(tap.settings, as_json, root, only_login=login))
        if reconcile or repair:
            from tap_mssql.singer import reconciling

            choices = [s.choice for s in tap.chosen()]
            if reconcile:
                reconciling.ask(tap.run, choices, Path(reconcile), only)
            else:
                reconciling.repair(tap.run, choices, Path(str(repair)), batch.write)
            return
        from tap_mssql.plan import explain

        streams, refused = tap.selected()
        with tap.run.session() as session:
            steps = explain.steps(
                [(s.choice, s.stream_state) for s in streams.values()], tap.settings, tap.run.isolation, session, refused
            )
        if steps:
            sys.stdout.write(explain.as_json(steps) if as_json else explain.as_table(steps))
            sys.stdout.flush()
        if refused:
            raise batch.failure(list(refused.values()), len(steps) + len(refused), "ready to be read")

    def discover_streams(self) -> list[TableStream]:
        """One stream per table and view."""
        return [TableStream(self, table, self) for table in self.run.tables]

    @property
    def catalog_dict(self) -> dict[str, Any]:
        """The SDK's catalog, with what the server says of each table in its metadata."""
        catalog = super().catalog_dict
        tables = {table.stream: table for table in self.run.tables}
        for entry in catalog.get("streams", []):
            [root] = [m["metadata"] for m in entry["metadata"] if not m["breadcrumb"]]
            root |= batch_output.table_metadata(tables[entry["tap_stream_id"]])
        return catalog

    def sync_all(self) -> None:  # type: ignore[misc]  # final in the SDK, which knows only streams one after the other
        """Reads all selected streams; each one's messages are written when its load is complete.

        Raises SomeFailed when streams failed, after the messages of those that did not.
        """
        self._reset_state_progress_markers()
        if self.state:
            self._state_writer.write_state(self.state)
        streams, refused = self.selected()
        failed: list[Failure] = list(refused.values())
        with self.run.reading([s.choice for s in streams.values()], self.state.get("bookmarks", {})) as scheduler:
            for load in scheduler.ended():
                if load.error is not None:
                    failed.append(load.error)
                    continue
                stream = streams[load.stream]
                stream.adopt(load)
                stream.sync()
                stream.finalize_state_progress_markers()
        if failed:
            raise batch.failure(failed, len(streams) + len(refused))

    def chosen(self) -> list[TableStream]:
        """The selected streams, those among them that cannot be read as asked."""
        return [s for s in self.streams.values() if isinstance(s, TableStream) and s.selected]

    def selected(self) -> tuple[dict[str, TableStream], dict[str, ArrowSingerError]]:
        """The selected streams by name, and those that cannot be read as asked. Raises as stream_choice.check; no row is read."""
        chosen = self.chosen()
        refused = stream_choice.check([s.choice for s in chosen], self.settings)
        readable = {s.name: s for s in chosen if s.name not in refused}
        for line in stream_choice.left_out([s.choice for s in readable.values()]):
            self.logger.warning("left out (on_unreadable: skip): %s", line)
        return readable, refused

    @contextmanager
    def read(self, stream: TableStream) -> Iterator[Load]:
        """The complete load of a stream: the one it was given, else read here. Raises what ended it."""
        if stream.load is not None:
            yield stream.load
            return
        with self.run.reading([stream.choice], self.state.get("bookmarks", {})) as scheduler:
            load = next(scheduler.ended())
            if load.error is not None:
                raise load.error
            stream.adopt(load)
            yield load
            stream.load = None

    def sample(self, request: TableRequest, rows: int) -> Iterator[dict[str, Any]]:
        """Some rows as records, for the SDK's connection test."""
        items = select_list(request.stream, request.columns, self.settings)
        sql = statements.rows(request.table.quoted, [i.expression for i in items], request.where, None)
        with self.run.connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql.replace("SELECT ", f"SELECT TOP ({rows + 1}) ", 1))
            yield from record_output.records(in_declared_types(cursor.arrow_batch(rows + 1), items))
