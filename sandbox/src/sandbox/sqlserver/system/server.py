"""What the server tells about itself, its database and its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sandbox.sqlserver.system.catalog import Catalog
from sandbox.sqlserver.types.sql_types import SqlType

NAME = "SANDBOX"
VERSION = "16.0.4000.1"
VERSION_TEXT = f"Microsoft SQL Server 2022 (sandbox counterpart) - {VERSION} (X64)\n\tDeveloper Edition (64-bit)"
SYSNAME = SqlType("nvarchar", 128)
DATETIME = SqlType("datetime")
DATETIME2 = SqlType("datetime2", scale=7)
DATETIMEOFFSET = SqlType("datetimeoffset", scale=7)
ISOLATION_LEVELS = {"READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5}
_SERVER_PROPERTIES: dict[str, str | int] = {
    "productversion": VERSION,
    "productlevel": "RTM",
    "edition": "Developer Edition (64-bit)",
    "servername": NAME,
    "machinename": NAME,
    "engineedition": 3,
    "productmajorversion": "16",
    "productminorversion": "0",
    "isclustered": 0,
    "ishadrenabled": 0,
    "isintegratedsecurityonly": 0,
}


@dataclass
class Client:
    """What is known of a connected client, for sys.dm_exec_sessions and sys.dm_exec_connections."""

    spid: int
    login: str
    auth_scheme: str = "SQL"  # or KERBEROS
    app: str = ""
    host: str = ""
    database: str = ""
    encrypted: bool = True
    intent: str = "ReadWrite"
    address: str = "127.0.0.1"
    port: int = 0
    packet_size: int = 4_096
    since: int = 0  # as `datetime` is stored
    isolation: int = 2  # one of ISOLATION_LEVELS
    transactions: int = 0


class Server(Protocol):
    """What statements ask of the running server."""

    @property
    def clock_offset(self) -> float:
        """Seconds that the server's clock is ahead."""

    def clients(self) -> list[Client]:
        """Who is connected."""

    def last_rowversion(self) -> int:
        """The last rowversion given out."""

    @property
    def rows_looked_at(self) -> int:
        """By all statements on tables so far."""

    def min_active_rowversion(self) -> int:
        """The lowest rowversion that is not committed yet, else the next one."""


@dataclass(frozen=True)
class SessionFacts:
    """What a statement can ask about its session (@@SPID, APP_NAME() and the like); `server` None where none runs."""

    spid: int = 0
    trancount: int = 0
    rowcount: int = 0
    lock_timeout: int = -1  # ms, -1 for ever
    login: str = ""
    auth_scheme: str = "SQL"
    app: str = ""
    host: str = ""
    database: str = ""
    server: Server | None = None

    def running(self) -> Server:
        """The server. Raises RuntimeError where none runs: while a new database is filled."""
        if self.server is None:
            raise RuntimeError("sandbox: this statement needs a running server")
        return self.server


def server_property(name: str, catalog: Catalog) -> str | int | None:
    """SERVERPROPERTY; None for an unknown name."""
    return catalog.collation if name.lower() == "collation" else _SERVER_PROPERTIES.get(name.lower())


def database_property(database: str, name: str, catalog: Catalog) -> str | int | None:
    """DATABASEPROPERTYEX; None for another database and for an unknown name."""
    if catalog.fold(database) != catalog.fold(catalog.database):
        return None
    known: dict[str, str | int] = {
        "updateability": "READ_ONLY" if catalog.settings.get("read_only") else "READ_WRITE",
        "collation": catalog.collation,
        "status": "ONLINE",
        "recovery": "SIMPLE",
        "useraccess": "MULTI_USER",
        "edition": "Developer Edition (64-bit)",
        "version": 957,
    }
    return known.get(name.lower())
