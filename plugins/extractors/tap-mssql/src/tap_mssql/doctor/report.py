"""`tap-mssql --doctor`: what stands between this machine and a good read of the source, all at once, with what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from tap_mssql.config.settings import Settings
from tap_mssql.doctor import checks
from tap_mssql.doctor.checks import Line
from tap_mssql.errors import TapError
from tap_mssql.server import discovery
from tap_mssql.server.connection import Connection, open_connection
from tap_mssql.server.diagnosis import driver_text, judge
from tap_mssql.server.discovery import Table
from tap_mssql.server.retry import DRIVER_ERRORS

__all__ = ["Line", "as_json", "as_table", "diagnose", "main"]

FAILED = 3  # exit code
AFTER_LOGIN = (4060, 978, 983)  # errors of a database, once the login itself was taken
_MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}


def main(settings: Settings, as_json_: bool = False, spool: Path | None = None) -> int:
    """Prints the findings, as a table or as JSON. Returns 0, or 3 when something failed."""
    lines = diagnose(settings, spool)
    sys.stdout.write(as_json(lines) if as_json_ else as_table(lines))
    return FAILED if any(line.status == "failed" for line in lines) else 0


def diagnose(settings: Settings, spool: Path | None = None) -> list[Line]:
    """Looks at everything that does not depend on something that failed. `spool` is the folder that parts are written to."""
    lines = [checks.network(settings)]
    tables: list[Table] = []
    if lines[0].status == "ok":
        if not settings.by_browser:
            lines.append(checks.tls(settings))
        connection, login = _login(settings)
        lines += login
        if connection is not None:
            with closing(connection):
                found, tables = _inside(settings, connection)
                lines += found
    if spool is not None:
        lines.append(checks.spool(spool, tables))
    return lines


def _login(settings: Settings) -> tuple[Connection | None, list[Line]]:
    who = settings.user or settings.client_id or settings.authentication
    try:
        connection = open_connection(settings)
    except DRIVER_ERRORS as error:
        fault = judge(error, azure=settings.azure, first=True)
        text = f"{fault.what}: {driver_text(error)}"
        if fault.number in AFTER_LOGIN:
            return None, [Line("login", "ok", f"as {who}"), Line("database", "failed", text, fault.advice)]
        return None, [Line("login", "failed", text, fault.advice)]
    return connection, [Line("login", "ok", f"as {who}")]


def _inside(settings: Settings, connection: Connection) -> tuple[list[Line], list[Table]]:
    lines: list[Line] = []
    tables: list[Table] = []

    def streams() -> list[Line]:
        tables.extend(discovery.discover(connection, settings))
        return checks.permissions(settings, connection, tables)

    for check in (checks.database, checks.versions, checks.isolation, checks.clock):
        lines += _tried(check.__name__, lambda check=check: [check(settings, connection)])  # type: ignore[misc]
    return [*lines, *_tried("permissions", streams)], tables


def _tried(name: str, check: Callable[[], list[Line]]) -> Iterator[Line]:
    try:
        yield from check()
    except DRIVER_ERRORS as error:
        fault = judge(error)
        yield Line(name, "failed", f"{fault.what}: {driver_text(error)}", fault.advice)
    except TapError as error:
        yield Line(name, "failed", str(error))


def as_table(lines: list[Line]) -> str:
    """For people: a row per finding, what to do below it."""
    width = max(len(line.name) for line in lines)
    below = "\n" + " " * (width + 11)
    rows = []
    for line in lines:
        rows.append(f"{_MARKS[line.status]}  {line.name:<{width}}  {line.text}".replace("\n", below))
        if line.fix:
            rows[-1] += f"{below}what to do: {line.fix}"
    return "\n".join(rows) + "\n"


def as_json(lines: list[Line]) -> str:
    """For programs: a list of objects with name, status, text and fix."""
    return json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2) + "\n"
