"""The tap itself, run on the tables of a trial as a pipeline runs it: discovery, readers, parts, load documents, state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct, field

from singer_arrow import documents
from singer_arrow.documents import LoadDocument
from singer_arrow.errors import Failure
from tap_mssql.accept.place import SCHEMA
from tap_mssql.config.settings import Settings
from tap_mssql.config.stream_options import StreamOptions
from tap_mssql.singer import batch_output
from tap_mssql.singer.run import Run

# What of the user's settings says how the server is reached, and how gently it is read; the rest is as it comes.
_KEPT = (
    "host", "port", "database", "authentication", "user", "password", "client_id", "client_secret", "tenant", "encrypt",
    "trust_server_certificate", "server_certificate", "host_name_in_certificate", "multi_subnet_failover", "login_timeout",
    "query_timeout", "idle_timeout", "retry_seconds", "application_name", "snapshot", "max_parallel",
)  # fmt: skip


class Loaded(Struct, frozen=True):
    """One stream's load: its document, its rows and the keys that were deleted, each in the order of their parts."""

    document: LoadDocument
    rows: pa.Table
    deletes: pa.Table

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        found: list[Any] = self.rows.column(name).to_pylist()
        return found


class Ran(Struct, frozen=True):
    """What a run brought, by the names of the tables; `error` is what it said in the end, empty where all went well."""

    loads: dict[str, Loaded]
    state: dict[str, Any]
    error: str = ""


class Reading(Struct, frozen=True):
    """The tap with the settings that reach the server, and a spool in a folder."""

    settings: Settings
    spool: Path
    changes: Mapping[str, Any] = field(default_factory=dict)

    def over(self, **changes: Any) -> Reading:
        """The same with other settings."""
        return Reading(self.settings, self.spool, {**self.changes, **changes})

    def run(
        self,
        tables: str,
        options: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        between: Callable[[], None] | None = None,
    ) -> Ran:
        """Reads the tables of the schema whose names are like the pattern; `between` is called after discovery."""
        pattern = f"{SCHEMA}.{tables}"
        run = Run(self._settings(pattern, options or {}), {"storage": {"root": self.spool.as_uri()}})
        given: dict[str, Any] = {"bookmarks": {}, **copy.deepcopy(dict(state or {}))}
        messages: list[dict[str, Any]] = []
        error = ""
        try:
            choices = batch_output.choices(run, None)
            if between is not None:
                between()
            batch_output.sync(run, choices, given, lambda message: messages.append(message))
        except Failure as failure:
            error = str(failure)
        loads = {m["stream"].removeprefix(f"{SCHEMA}-"): _loaded(m["manifest"]) for m in messages if m["type"] == "BATCH"}
        return Ran(loads, given, error)

    def _settings(self, pattern: str, options: Mapping[str, Any]) -> Settings:
        kept = {name: getattr(self.settings, name) for name in _KEPT}
        chosen = (StreamOptions(pattern=pattern, **options),) if options else ()
        whole = {"streams": (pattern,), "stream_options": chosen, "application_intent": "ReadWrite"}
        return Settings(**(kept | whole | dict(self.changes)))


def _loaded(manifest: Sequence[str]) -> Loaded:
    """From the parts that a BATCH message names; read at once, since the next run takes them away."""
    paths = [Path(unquote(urlsplit(uri).path)) for uri in manifest]
    [document] = [documents.read_load_document(found) for found in paths[0].parent.glob("*.load.json")]
    tables = {path.name: pq.read_table(path, partitioning=None) for path in paths}
    deletes = {part.path for part in document.files if part.deletes}
    rows = [table for name, table in tables.items() if name not in deletes]
    gone = [table for name, table in tables.items() if name in deletes]
    return Loaded(document, pa.concat_tables(rows), pa.concat_tables(gone) if gone else pa.table({}))


def replaced(settings: Settings, **changes: Any) -> Settings:
    """The settings with others in their place."""
    return msgspec.structs.replace(settings, **changes)
