"""`tap-mssql --doctor`: what stands between this machine and a good read of the source, all at once, with what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from singer_arrow.errors import ArrowSingerError
from tap_mssql.config.settings import Settings
from tap_mssql.doctor import checks
from tap_mssql.doctor.checks import Finding
from tap_mssql.errors import TapError
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, open_connection
from tap_mssql.server.diagnosis import diagnose, driver_text
from tap_mssql.server.discovery import Table
from tap_mssql.server.retry import DRIVER_ERRORS

FAILED = 3  # exit code
AFTER_LOGIN = (4060, 978, 983)  # errors of a database, once the login itself was taken
_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
_ENDLESS = 100_000  # characters a line may have: no text is ever cut


def main(settings: Settings, as_json_: bool = False, spool: Path | None = None) -> int:
    """Prints the findings, as a table or as JSON. Returns 0, or 3 when something failed."""
    findings = examine(settings, spool)
    sys.stdout.write(as_json(findings) if as_json_ else as_table(findings))
    return FAILED if any(finding.status == "failed" for finding in findings) else 0


def examine(settings: Settings, spool: Path | None = None) -> list[Finding]:
    """Checks everything that does not depend on something that failed. `spool` is the folder that parts are written to."""
    findings = [checks.network(settings)]
    tables: list[Table] = []
    if findings[0].status == "ok":
        if not settings.by_browser:
            findings.append(checks.tls(settings))
        connection, login = _login(settings)
        findings += login
        if connection is not None:
            with closing(connection):
                found, tables = _inside(settings, connection)
                findings += found
    if spool is not None:
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
    return connection, [Finding("login", "ok", f"as {who}")]


def _inside(settings: Settings, connection: Connection) -> tuple[list[Finding], list[Table]]:
    findings: list[Finding] = []
    tables: list[Table] = []

    def streams() -> list[Finding]:
        tables.extend(discovery.discover(connection, settings))
        return checks.permissions(settings, connection, tables)

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


def as_table(findings: list[Finding]) -> str:
    """For people: a row per finding, what to do below it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for finding in findings:
        fix = f"\nwhat to do: {finding.fix}" if finding.fix else ""
        table.add_row(_MARKS[finding.status], Text(finding.name), Text(finding.text + fix))
    console = Console(width=_ENDLESS, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def as_json(findings: list[Finding]) -> str:
    """For programs: a list of objects with name, status, text and fix."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2) + "\n"
