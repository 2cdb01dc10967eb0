"""`tap-mssql --doctor`: what stands between this machine and a good read of the source, all at once, with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from singer_arrow.errors import ArrowSingerError
from singer_arrow.findings import Finding, tell
from tap_mssql.config.settings import Settings
from tap_mssql.doctor import checks
from tap_mssql.errors import TapError
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, open_connection
from tap_mssql.server.diagnosis import diagnose, driver_text
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.table import Table

AFTER_LOGIN = (4060, 978, 983)  # errors of a database, once the login itself was taken


def main(settings: Settings, as_json_: bool = False, spool: Path | None = None, only_login: bool = False) -> int:
    """Prints the findings, as a table or as JSON. Returns 0, or 3 when something failed."""
    return tell(examine(settings, spool, only_login), as_json_)


def examine(settings: Settings, spool: Path | None = None, only_login: bool = False) -> list[Finding]:
    """Checks everything that does not depend on something that failed, or what it takes to log in.

    `spool` is the folder that parts are written to.
    """
    findings = [checks.network(settings)]
    tables: list[Table] = []
    if findings[0].status == "ok":
        if not settings.by_browser:
            findings.append(checks.tls(settings))
        connection, login = _login(settings)
        findings += login
        if connection is not None:
            with closing(connection):
                if only_login:
                    return findings
                found, tables = _inside(settings, connection)
                findings += found
    if spool is not None and not only_login:
        findings.append(checks.spool(spool, tables))
    return findings


def _login(settings: Settings) -> tuple[Connection | None, list[Finding]]:
    who = settings.user or settings.client_id or settings.authentication
    try:
        connection = open_connection(settings)
    except DRIVER_ERRORS as error:
        fault = diagnose(error, azure=settings.azure, first=True)
        text = f"{fault.what}: {driver_text(error)}"
        if fault.number in AFTER_LOGIN:
            return None, [Finding("login", "ok", f"as {who}"), Finding("database", "failed", text, fault.advice)]
        return None, [Finding("login", "failed", text, fault.advice)]
    if settings.authentication == "kerberos":
        return connection, list(_findings_of("login", lambda: [checks.windows_login(connection)]))
    return connection, [Finding("login", "ok", f"as {who}")]


def _inside(settings: Settings, connection: Connection) -> tuple[list[Finding], list[Table]]:
    findings: list[Finding] = []
    tables: list[Table] = []

    def streams() -> list[Finding]:
        tables.extend(discovery.discover(connection, settings))
        return [
            *checks.permissions(settings, connection, tables),
            *checks.tracking(settings, connection, tables),
            *checks.sizes(tables),
        ]

    for check in (checks.database, checks.versions, checks.isolation, checks.clock):
        findings += _findings_of(check.__name__, lambda check=check: [check(settings, connection)])  # type: ignore[misc]
    return [*findings, *_findings_of("permissions", streams)], tables


def _findings_of(name: str, check: Callable[[], list[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except DRIVER_ERRORS as error:
        fault = diagnose(error)
        yield Finding(name, "failed", f"{fault.what}: {driver_text(error)}", fault.advice)
    except (TapError, ArrowSingerError) as error:
        yield Finding(name, "failed", str(error))
