"""What the doctor checks, one function each: a finding that says how it is and, where it could be better, what to do."""

from __future__ import annotations

import platform
import shutil
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from singer_arrow.findings import Finding
from tap_mssql.config.settings import Settings
from tap_mssql.plan import stream_choice
from tap_mssql.plan.tracking import Facts, facts_sql, why_not
from tap_mssql.server import discovery, handshake
from tap_mssql.server.connection import Connection
from tap_mssql.server.table import Table

CLOCK_SECONDS = 5
LEAST_FREE = 1 << 30  # bytes
SHRINKS_TO = 3  # Parquet takes a third of a table's pages, or less
OLDEST = 13  # SQL Server 2016: CONVERT prints every digit of a float, sys.columns tells encrypted ones
AZURE_EDITIONS = (5, 6, 8, 9, 11, 12)


def network(settings: Settings) -> Finding:
    """How long the server's port takes to answer."""
    host, _, instance = settings.host.partition("\\")
    if settings.by_browser:
        return Finding("network", "ok", f"instance {instance}: the driver asks {host} for its port over UDP 1434")
    clock = time.monotonic()
    try:
        with socket.create_connection((host, settings.port), settings.login_timeout) as sock:
            where = sock.getpeername()[0]
    except socket.gaierror as error:
        return Finding("network", "failed", f"{host}: {error.strerror}", "check TAP_MSSQL_HOST and this machine's name server")
    except OSError as error:
        text = f"{host}, port {settings.port}: {error.strerror or error}"
        return Finding("network", "failed", text, "check TAP_MSSQL_HOST and TAP_MSSQL_PORT, and the firewalls in between")
    return Finding("network", "ok", f"{where}, port {settings.port} answered in {(time.monotonic() - clock) * 1000:.0f} ms")


def tls(settings: Settings) -> Finding:
    """Which TLS the server speaks, and whether its certificate is trusted: for either name, as the driver does."""
    try:
        offer = _offer(settings, settings.host_name_in_certificate)
    except ssl.SSLError as error:
        return Finding("TLS", "failed", f"no handshake: {error.reason or error}", "enable TLS 1.2 or later at the server")
    except OSError as error:
        return Finding("TLS", "failed", f"no answer: {error.strerror or error}", "check that a SQL Server listens on this port")
    if not offer.protocol:
        status: Literal["warning", "failed"] = "warning" if settings.encrypt == "no" else "failed"
        return Finding("TLS", status, "the server does not encrypt", "install a certificate at the server, or set encrypt to no")
    if settings.encrypt == "no":
        return Finding("TLS", "warning", f"{offer.protocol}, for the login only: rows travel unencrypted", "set encrypt to yes")
    if not offer.untrusted:
        return Finding("TLS", "ok", f"{offer.protocol}, certificate trusted")
    text = f"{offer.protocol}, certificate not trusted: {offer.untrusted}"
    fix = "set server_certificate to the PEM file of its authority, and host_name_in_certificate where the name differs"
    return Finding("TLS", "warning" if settings.trust_server_certificate else "failed", text, fix)


def _offer(settings: Settings, name: str) -> handshake.Offer:
    host = settings.host.partition("\\")[0]
    strict, file = settings.encrypt == "strict", settings.server_certificate
    offer = handshake.ask(host, settings.port, strict=strict, authority=file, name=name or host, timeout=settings.login_timeout)
    return _offer(settings, "") if name and offer.untrusted else offer


def windows_login(connection: Connection) -> Finding:
    """Who has logged in, where the ticket said it and not a setting."""
    query = "SELECT CONVERT(nvarchar(128), SUSER_SNAME()), CONVERT(nvarchar(40), CONNECTIONPROPERTY('auth_scheme'))"
    name, scheme = _row(connection, query)
    return Finding("login", "ok", f"as {name}, by {'Kerberos' if scheme == 'KERBEROS' else scheme}")


def database(settings: Settings, connection: Connection) -> Finding:
    """Which database was opened, how it sorts, and whether it can be written to."""
    query = (
        "SELECT CONVERT(nvarchar(128), DB_NAME()), CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation')), "
        "CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Updateability'))"
    )
    name, collation, updateability = _row(connection, query)
    kind = "read-only: a replica or a read-only database" if updateability == "READ_ONLY" else "read-write"
    return Finding("database", "ok", f"{name}, collation {collation}, {kind}")


def versions(settings: Settings, connection: Connection) -> Finding:
    """Server, driver, Python and this tap."""
    query = (
        "SELECT CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')), CONVERT(nvarchar(128), SERVERPROPERTY('Edition')), "
        "CONVERT(int, SERVERPROPERTY('EngineEdition'))"
    )
    product, edition, engine = _row(connection, query)
    text = (
        f"SQL Server {product} {edition}; mssql-python {version('mssql-python')}; Python {platform.python_version()}; "
        f"tap-mssql {version('tap-mssql')}"
    )
    major = int(str(product).partition(".")[0] or 0)
    if major < OLDEST and engine not in AZURE_EDITIONS:
        return Finding(
            "versions",
            "warning",
            text,
            "upgrade to SQL Server 2016 or later, or avoid float keys: earlier versions do not print every digit",
        )
    return Finding("versions", "ok", text)


def isolation(settings: Settings, connection: Connection) -> Finding:
    """Whether a stream can be read as one consistent state."""
    query = "SELECT snapshot_isolation_state, is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()"
    snapshot, committed = _row(connection, query)
    rows = (
        "READ_COMMITTED_SNAPSHOT is on, so that reading takes no locks"
        if committed
        else "READ_COMMITTED_SNAPSHOT is off, so that reading takes locks"
    )
    if settings.snapshot == "never":
        return Finding("isolation", "ok", f"READ COMMITTED, because snapshot is set to never; {rows}")
    if snapshot == 1:
        return Finding("isolation", "ok", "SNAPSHOT: each range is read as of one moment, without locks")
    fix = f"ALTER DATABASE [{settings.database}] SET ALLOW_SNAPSHOT_ISOLATION ON"
    if settings.snapshot == "always":
        return Finding("isolation", "failed", "the database does not allow SNAPSHOT", f"{fix}, or set snapshot to auto")
    return Finding("isolation", "warning", f"the database does not allow SNAPSHOT: READ COMMITTED is used; {rows}", fix)


def clock(settings: Settings, connection: Connection) -> Finding:
    """How far the server's clock is from ours, in seconds."""
    before = datetime.now(UTC)
    theirs = _row(connection, "SELECT SYSUTCDATETIME()")[0].replace(tzinfo=UTC)
    ours = before + (datetime.now(UTC) - before) / 2
    seconds = (theirs - ours).total_seconds()
    text = f"the server's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(seconds) > CLOCK_SECONDS:
        return Finding(
            "clock",
            "warning",
            text,
            "set both clocks by NTP: bookmarks are in the server's time, load ids and logs in this machine's",
        )
    return Finding("clock", "ok", text)


def permissions(settings: Settings, connection: Connection, tables: Sequence[Table]) -> list[Finding]:
    """A finding for each stream that can't be read whole, and one for all the others."""
    lines = [line for table in tables for line in _of_table(settings, connection, table)]
    readable = len(tables) - len(lines)
    what = f"{readable} of {len(tables)} selected streams can be read whole"
    return [Finding("permissions", "ok" if readable else "warning", what), *lines, *_masked(connection, tables)]


def tracking(settings: Settings, connection: Connection, tables: Sequence[Table]) -> list[Finding]:
    """A finding for each stream that the settings make LOG_BASED and that this login cannot read so."""
    chosen = [stream_choice.choose(table, settings, None) for table in tables]
    found = []
    for table in (choice.table for choice in chosen if choice.is_log_based):
        if refusal := why_not(table, Facts.of(_row(connection, facts_sql(table)))):
            found.append(Finding(table.stream, "failed", f"it is LOG_BASED, and {refusal[0]}", refusal[1]))
    return found


def _masked(connection: Connection, tables: Sequence[Table]) -> list[Finding]:
    """Masked columns read like any other, but their values are not those of the table."""
    query = "SELECT object_id, name FROM sys.columns WHERE is_masked = 1 ORDER BY object_id, column_id"
    streams = {table.object_id: table.stream for table in tables}
    with connection.execute(query) as cursor:
        masked = [f"{streams[number]}.{name}" for number, name in cursor.fetchall() if number in streams]
    if not masked or _row(connection, "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK')")[0] == 1:
        return []
    return [
        Finding(
            "masked",
            "warning",
            f"values arrive masked: {', '.join(masked)}",
            "GRANT UNMASK to this login, or deselect these columns",
        )
    ]


def sizes(tables: Sequence[Table]) -> list[Finding]:
    """A finding where the server does not show how large its tables are."""
    if any(table.row_estimate is not None for table in tables) or all(table.is_view for table in tables):
        return []
    text = "unknown: the server does not show them; plan has no estimates, and a large table may be begun late"
    return [Finding("sizes", "warning", text, "let this login see sys.partitions and sys.allocation_units, or leave it so")]


def _of_table(settings: Settings, connection: Connection, table: Table) -> list[Finding]:
    if table.problem:
        return [Finding(table.stream, "failed", table.problem, "correct it in queries, or leave it out of streams")]
    denied = discovery.denied(connection, table)
    grant = f"GRANT SELECT ON {'the tables of its query' if table.sql else table.quoted}"
    names = [c.name for c in table.columns]
    if len(denied) == len(names):
        return [
            Finding(
                table.stream,
                "failed",
                "this login may not read it",
                f"{grant}, or leave it out of streams",
            )
        ]
    reasons = [f"{name}: no permission" for name in names if name in denied]
    reasons += [f"{c.name}: {c.unreadable}" for c in table.columns if c.unreadable]
    if not reasons:
        return []
    skipped = settings.on_unreadable == "skip"
    fix = "" if skipped else f"{grant}, deselect the columns, or set on_unreadable to skip"
    text = ("left out: " if skipped else "unreadable columns: ") + "; ".join(reasons)
    return [Finding(table.stream, "warning" if skipped else "failed", text, fix)]


def spool(folder: Path, tables: Sequence[Table]) -> Finding:
    """Whether what is read has room on this machine."""
    existing = next((p for p in (folder, *folder.parents) if p.is_dir()), Path("/"))
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(
            "spool", "failed", f"{folder}: {error.strerror}", "set batch_config.storage.root to a folder of this machine"
        )
    needed = max(LEAST_FREE, sum(t.byte_estimate or 0 for t in tables) // SHRINKS_TO)
    text = f"{folder}: {free / 2**30:.1f} GiB free"
    if free < needed:
        return Finding(
            "spool",
            "warning",
            f"{text}; the selected streams may take {needed / 2**30:.1f} GiB",
            "free disk space, or read fewer streams",
        )
    return Finding("spool", "ok", text)


def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    with connection.execute(query) as cursor:
        return tuple(cursor.fetchone())
