"""The tap: discovery into streams, and connections for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

from singer_sdk import Tap

from singer_arrow import names
from tap_mssql import catalog, settings
from tap_mssql.connect import Connection, connect
from tap_mssql.errors import SelectionRefused
from tap_mssql.stream import TableStream


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

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that is closed afterwards."""
        connection = connect(self.settings)
        try:
            yield connection
        finally:
            connection.close()

    @cached_property
    def tables(self) -> list[catalog.Table]:
        """The database's tables and views that `filter_dbs` lets through."""
        with self.connection() as connection, connection.execute(catalog.QUERY) as cursor:
            found = catalog.tables(cursor.fetchall())
        schemas = {name.strip().lower() for name in self.settings.filter_dbs.split(",") if name.strip()}
        chosen = [t for t in found if not schemas or t.schema.lower() in schemas]
        if not chosen:
            known = ", ".join(sorted({t.schema for t in found})) or "none that this login may see"
            raise SelectionRefused(f"no table in database {self.settings.database!r} is selected; schemas with tables: {known}")
        return chosen

    def discover_streams(self) -> list[TableStream]:
        """One stream per table and view; streams whose Delta tables would meet are refused once selected."""
        method = self.settings.default_replication_method
        streams = [TableStream(self, table) for table in self.tables]
        for stream in streams:
            if method == "INCREMENTAL" and stream.replication_key:
                stream.forced_replication_method = method
        return streams

    def check_selection(self) -> None:
        """Raises SelectionRefused or NameRefused for what could not arrive, before any row is read."""
        selected = [stream for stream in self.streams.values() if isinstance(stream, TableStream) and stream.selected]
        if not selected:
            raise SelectionRefused("no stream is selected; see `meltano select tap-mssql --list --all`")
        names.refuse_collisions((s.name, names.table_name(s.table.schema, s.table.name)) for s in selected)
        for stream in selected:
            names.column_names(stream.name, [c.name for c in stream.columns])
            _ = stream.cursor_column
