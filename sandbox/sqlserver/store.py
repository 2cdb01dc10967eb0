"""The DuckDB file behind the server: made once from the generator, then opened; and who is connected to it."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sandbox.sqlserver import functions, generate, temporal
from sandbox.sqlserver.catalog import Catalog
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.faults import Faults
from sandbox.sqlserver.parquet import Given, in_order
from sandbox.sqlserver.specs import TableSpec
from sandbox.sqlserver.types import STRINGS


def _stamp() -> str:
    """Changes whenever the code that makes the data may have changed."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


@dataclass(frozen=True)
class Content:
    """What a fresh database holds: the generated tables at a scale (None: without them) and tables from files."""

    scale: float | None
    parquet: tuple[Given, ...] = ()

    @property
    def stamp(self) -> str:
        """Changes when the content does."""
        return "\n".join([str(self.scale), *(given.stamp for given in self.parquet)])


class Store:
    """The database: cursors for sessions, the catalog, and the register of sessions for KILL."""

    def __init__(self, folder: Path, database: str, content: Content, faults: Path | None = None) -> None:
        self.database = database
        self.faults = Faults(faults, database)
        stamp = folder / "version"
        file = folder / "store.duckdb"
        wanted = f"{_stamp()} {database} {content.stamp}\n"
        fresh = not file.exists() or not stamp.exists() or stamp.read_text() != wanted
        if fresh:
            stamp.unlink(missing_ok=True)
            for old in (file, folder / "store.duckdb.wal"):
                old.unlink(missing_ok=True)
        # one thread: each connection has its own, and the clients share this machine
        self._main = duckdb.connect(str(file), config={"threads": 1, "preserve_insertion_order": True})
        if fresh:
            self._main.execute("SET threads = 2")  # nobody is served yet
            for macro in temporal.MACROS:
                self._main.execute(macro)
            generate.fill(self._main, content.scale, database, content.parquet)
            for macro in functions.MACROS:
                self._main.execute(macro)
            self._main.execute("CHECKPOINT")
            self._main.execute("SET threads = 1")
            stamp.write_text(wanted)
        self.catalog = Catalog(self._main)
        self.catalog.database = database
        files = {(given.schema.lower(), given.table.lower()) for given in content.parquet if given.key}
        for name, spec in self.catalog.specs.items():
            if name in files and not any(column.kind.name in STRINGS for column in spec.columns if column.name in spec.key):
                self._settle(spec)
        self._lock = threading.Lock()
        self._spids = itertools.count(51)
        self._killers: dict[int, Callable[[], None]] = {}

    def _settle(self, spec: TableSpec) -> None:
        """A table of an earlier start may have been changed since it was made."""
        if in_order(self._main, spec.stored, tuple(spec.key)):
            self.catalog.ordered.add(spec.object_id)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database."""
        return self._main.cursor()

    def enter(self, killer: Callable[[], None]) -> int:
        """A session id; the killer ends that session's connection."""
        with self._lock:
            spid = next(self._spids)
            self._killers[spid] = killer
            return spid

    def leave(self, spid: int) -> None:
        """The session has ended."""
        with self._lock:
            self._killers.pop(spid, None)

    def kill(self, spid: int, own: int) -> None:
        """Raises SqlError 6104 (its own session) or 6106 (no such session)."""
        if spid == own:
            raise SqlError(6104, "Cannot use KILL to kill your own process.")
        with self._lock:
            killer = self._killers.get(spid)
        if killer is None:
            raise SqlError(6106, f"Process ID {spid} is not an active process ID.")
        killer()

    def close(self) -> None:
        """Write everything and close the file."""
        self._main.close()
