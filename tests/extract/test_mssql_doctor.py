"""The doctor: every finding at once, each with what to do, and no secret in it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from settings_kit import at

from sandbox.launch import Counterpart, counterpart
from singer_arrow import findings as told_findings
from singer_arrow.findings import Finding
from tap_mssql.config.settings import parse
from tap_mssql.doctor import checks, report
from tap_mssql.server import discovery
from tap_mssql.server.connection import connect


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sqlserver"), "--scale", "0.01") as running:
        yield running


@pytest.fixture(autouse=True)
def no_trust_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


def findings(server: Counterpart, spool: Path | None = None, **changes: Any) -> dict[str, Finding]:
    lines = report.examine(at(server, **changes), spool)
    assert server.secret not in told_findings.as_table(lines) + told_findings.as_json(lines)
    return {line.name: line for line in lines}


def test_all_is_well(server: Counterpart, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(at(server), spool=tmp_path / "not" / "there") == 0
    told = capsys.readouterr().out
    names = ["network", "TLS", "login", "database", "versions", "isolation", "clock", "permissions", "spool"]
    assert [line[9:].split()[0] for line in told.splitlines() if line[:7].strip()] == names
    for text in ("TLSv1.", "certificate trusted", "as reader", "AdventureWorks", "SQL Server 16", "SNAPSHOT", "GiB free"):
        assert text in told


def test_whoever_asks_for_the_login_alone_hears_nothing_of_what_comes_behind_it(server: Counterpart, tmp_path: Path) -> None:
    found = report.examine(at(server), tmp_path, only_login=True)
    assert [each.name for each in found] == ["network", "TLS", "login"]


@pytest.mark.parametrize(
    ("changes", "failed", "fix", "not_reached"),
    [
        ({"port": 1}, "network", "TAP_MSSQL_PORT", "login"),
        ({"host": "nosuch.invalid"}, "network", "TAP_MSSQL_HOST", "login"),
        ({"password": "wrong"}, "login", "TAP_MSSQL_PASSWORD", "database"),
        ({"database": "Nope"}, "database", "TAP_MSSQL_DATABASE", "versions"),
        ({"server_certificate": None}, "TLS", "server_certificate", "database"),
        ({"streams": "Sales.SalesOrderHeadr"}, "permissions", "", ""),
    ],
)
def test_what_failed_stops_only_what_depends_on_it(
    server: Counterpart, tmp_path: Path, changes: dict[str, Any], failed: str, fix: str, not_reached: str
) -> None:
    found = findings(server, tmp_path, **changes)
    assert found[failed].status == "failed"
    assert fix in found[failed].fix
    assert not_reached not in found
    assert found["spool"].status == "ok"


def test_json_for_programs_and_exit_code_3(server: Counterpart, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(at(server, password="wrong"), True) == told_findings.FAILED == 3
    lines = json.loads(capsys.readouterr().out)
    assert [line["status"] for line in lines] == ["ok", "ok", "failed"]
    assert set(lines[0]) == {"name", "status", "text", "fix"}


def test_a_certificate_that_is_not_trusted_is_told_with_its_reason(server: Counterpart) -> None:
    line = findings(server, server_certificate=None, trust_server_certificate=True)["TLS"]
    assert line.status == "warning"
    assert "TLSv1." in line.text and "self-signed" in line.text.replace("self signed", "self-signed")


def test_rows_that_would_travel_readable_are_a_warning(server: Counterpart) -> None:
    assert findings(server, encrypt="no")["TLS"].status == "warning"


def test_a_port_that_is_no_sql_server(server: Counterpart) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def hang_up() -> None:
            for _ in range(2):
                other.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        found = findings(server, port=other.getsockname()[1], login_timeout=2)
    assert (found["network"].status, found["TLS"].status, found["login"].status) == ("ok", "failed", "failed")


def run(server: Counterpart, *statements: str) -> None:
    connection = connect(at(server))
    for statement in statements:
        connection.execute(statement).close()
    connection.close()


def test_a_database_without_snapshot(server: Counterpart) -> None:
    run(server, "ALTER DATABASE AdventureWorks SET ALLOW_SNAPSHOT_ISOLATION OFF")
    try:
        for snapshot, status in (("always", "failed"), ("auto", "warning"), ("never", "ok")):
            line = findings(server, snapshot=snapshot)["isolation"]
            assert line.status == status
            assert snapshot == "never" or "ALLOW_SNAPSHOT_ISOLATION ON" in line.fix
    finally:
        run(server, "ALTER DATABASE AdventureWorks SET ALLOW_SNAPSHOT_ISOLATION ON")


def test_streams_that_cannot_be_read_whole_are_named(server: Counterpart) -> None:
    run(
        server,
        "CREATE TABLE dbo.Half (a int NOT NULL PRIMARY KEY, b int NULL)",
        "CREATE TABLE dbo.Closed (a int NOT NULL PRIMARY KEY)",
        "DENY SELECT ON dbo.Half(b) TO reader",
        "DENY SELECT ON dbo.Closed TO reader",
    )
    found = findings(server, streams="dbo.*")
    assert (found["dbo-Half"].status, found["dbo-Closed"].status) == ("failed", "failed")
    assert "b: no permission" in found["dbo-Half"].text
    assert "GRANT SELECT ON [dbo].[Closed]" in found["dbo-Closed"].fix
    assert "1 of 3 selected streams" in found["permissions"].text
    assert findings(server, streams="dbo.Half", on_unreadable="skip")["dbo-Half"].status == "warning"
    run(server, "DROP TABLE dbo.Half", "DROP TABLE dbo.Closed")


def test_masked_columns_are_told_where_they_arrive_masked(server: Counterpart) -> None:
    settings = at(server, streams="Sales.SalesOrderHeader")
    connection = connect(settings)
    [table] = discovery.discover(connection, settings)

    class Masked:
        """The connection to a database where one column is masked, and this login may see through it or not."""

        def __init__(self, unmask: int) -> None:
            self._unmask = unmask

        def execute(self, query: str) -> Any:
            if "is_masked" in query:
                return connection.execute(f"SELECT {table.object_id}, N'Comment'")
            return connection.execute(f"SELECT {self._unmask}" if "UNMASK" in query else query)

    told = checks.permissions(settings, Masked(0), [table])  # type: ignore[arg-type]
    assert [(line.name, line.status) for line in told] == [("permissions", "ok"), ("masked", "warning")]
    assert "Sales-SalesOrderHeader.Comment" in told[1].text
    assert len(checks.permissions(settings, Masked(1), [table])) == 1  # type: ignore[arg-type]
    connection.close()


def test_clocks_that_differ_are_a_warning(tmp_path: Path) -> None:
    with counterpart("sqlserver", tmp_path, "--scale", "0.01", "--clock-offset", "-90") as behind:
        line = findings(behind)["clock"]
    assert (line.status, "90.0 s behind" in line.text or "89.9 s behind" in line.text) == ("warning", True)


def test_a_spool_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LEAST_FREE", 1 << 60)
    assert checks.spool(tmp_path, []).status == "warning"


def test_instances_are_left_to_the_driver() -> None:
    settings = parse({"host": "db\\sales", "user": "u", "password": "p", "database": "d"})
    assert "UDP 1434" in checks.network(settings).text
