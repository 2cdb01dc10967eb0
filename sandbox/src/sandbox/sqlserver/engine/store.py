"""The DuckDB file behind the server: made once, then opened; and who is connected to it."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from sandbox import adventureworks, sqlserver
from sandbox.sqlserver.changes import rows as changes
from sandbox.sqlserver.data import fill as generate
from sandbox.sqlserver.data.content import Content
from sandbox.sqlserver.data.parquet import in_order
from sandbox.sqlserver.engine.faults import Faults
from sandbox.sqlserver.engine.watch import Watch
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.functions import server as facts
from sandbox.sqlserver.sql.functions.server import Client
from sandbox.sqlserver.system import sizes
from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.types import collations, temporal, variants
from sandbox.sqlserver.types.sql_types import STRINGS

_FIRST_VERSION = 2_000
_WAIT = 0.2  # seconds after which a waiting statement looks again by itself


def _stamp() -> str:
    """Changes whenever the code that makes the data may have changed."""
    folders = [Path(package.__path__[0]) for package in (adventureworks, sqlserver)]
    sources = sorted(source for folder in folders for source in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


class Store:
    """The database: cursors for sessions, the catalog, and the register of sessions."""

    def __init__(self, folder: Path, database: str, content: Content, faults: Path | None = None, clock: float = 0) -> None:
        self.database = database
        self.faults = Faults(faults, database)
        self.clock_offset = clock  # seconds that the server's clock is ahead
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
            for macro in (*temporal.MACROS, *collations.MACROS, *variants.MACROS, *changes.MACROS):
                self._main.execute(macro)
            generate.fill(self._main, content, database)
            for macro in facts.macros(database, collations.collation(content.collation).case):
                self._main.execute(macro)
            self._main.execute("CHECKPOINT")
            self._main.execute("SET threads = 1")
            stamp.write_text(wanted)
        self.catalog = Catalog(self._main, database)
        for given in content.parquet:
            spec = self.catalog.spec(given.schema, given.table)
            if spec is not None and spec.key:
                self._settle(spec)
        self.watch = Watch()
        self._lock = threading.Lock()
        self._spids = itertools.count(51)
        self._clients: dict[int, tuple[Client, Callable[[], None]]] = {}
        self._sizer = self.cursor()
        self._sizing = threading.Lock()
        self.defining = threading.RLock()  # one change of definitions at a time
        self._ended = threading.Condition()
        self._numbering = threading.Lock()
        self._tables: dict[int, threading.Lock] = {}
        self._active: dict[int, int] = {}  # session: its lowest rowversion that isn't committed
        self.count_sizes()

    def _settle(self, spec: TableSpec) -> None:
        """A table of an earlier start may have been changed since it was made."""
        key = [spec.column(name) for name in spec.key]
        plain = not any(column.kind.name in STRINGS for column in key)
        if plain and in_order(self._main, spec.stored, [column.stored for column in key]):
            self.catalog.ordered.add(spec.object_id)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database."""
        return self._main.cursor()

    def count_sizes(self) -> None:
        """Bring the rows and bytes that sys.partitions and its like tell up to date."""
        with self._sizing:
            stale = set(self.catalog.stale)
            self.catalog.stale -= stale
            tables = [spec for spec in self.catalog.specs.values() if spec.object_id in stale]
            sizes.count(self._sizer, [spec for spec in tables if not spec.select and not spec.target])

    @contextmanager
    def alone(self, object_id: int) -> Iterator[None]:
        """While a statement that commits by itself adds keys to a table: the next one sees them and can't add them again."""
        with self._lock:
            lock = self._tables.setdefault(object_id, threading.Lock())
        with lock:
            yield

    # rowversions

    def last_version(self) -> int:
        """The last rowversion given out."""
        found = (
            self._sizer.cursor()
            .execute("SELECT last_value FROM duckdb_sequences() WHERE sequence_name = 'rowversions'")
            .fetchone()
        )
        return int(found[0]) if found is not None and found[0] is not None else _FIRST_VERSION

    def min_active_version(self) -> int:
        """The lowest rowversion that isn't committed yet, else the next one."""
        with self._lock:
            active = list(self._active.values())
        return min(active, default=self.last_version() + 1)

    @contextmanager
    def numbering(self, spid: int) -> Iterator[None]:
        """While a statement gives out rowversions: the first of them is held as active until `settled`."""
        with self._numbering:
            first = self.last_version() + 1
            mine = spid not in self._active
            if mine:
                with self._lock:
                    self._active[spid] = first
            yield
            if mine and self.last_version() < first:
                with self._lock:
                    self._active.pop(spid, None)

    def settled(self, spid: int) -> None:
        """The session's transaction has ended: what it held is free, and who waits may look again."""
        with self._lock:
            self._active.pop(spid, None)
        with self._ended:
            self._ended.notify_all()

    def wait(self, seconds: float | None = None) -> None:
        """Until another transaction ends, or a moment has passed."""
        with self._ended:
            self._ended.wait(_WAIT if seconds is None else min(_WAIT, seconds))

    # sessions

    def enter(self, client: Client, killer: Callable[[], None]) -> int:
        """A session id; the killer ends that session's connection."""
        with self._lock:
            client.spid = next(self._spids)
            self._clients[client.spid] = (client, killer)
            return client.spid

    def leave(self, spid: int) -> None:
        """The session has ended."""
        with self._lock:
            self._clients.pop(spid, None)

    def clients(self) -> list[Client]:
        """Who is connected."""
        with self._lock:
            return [client for client, _ in self._clients.values()]

    def kill(self, spid: int, own: int) -> None:
        """Raises SqlError 6104 (its own session) or 6106 (no such session)."""
        if spid == own:
            raise SqlError(6104, "Cannot use KILL to kill your own process.")
        with self._lock:
            found = self._clients.get(spid)
        if found is None:
            raise SqlError(6106, f"Process ID {spid} is not an active process ID.")
        found[1]()

    def close(self) -> None:
        """Write everything and close the file."""
        self._main.close()
