"""Connections: what the driver is told, and how a wrong host, login, database or certificate is refused."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from mssql_python.connection_string_parser import _ConnectionStringParser
from settings_kit import at

from sandbox.launch import Counterpart, counterpart
from tap_mssql.config.settings import Settings, parse
from tap_mssql.errors import ConnectionRefused, ReadFailed
from tap_mssql.server import retry
from tap_mssql.server.connection import connect, connection_string, open_connection
from tap_mssql.server.diagnosis import diagnose

CONFIG = {"host": "db.example.com", "user": "reader", "password": "s3cret", "database": "Shop"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("sqlserver"), "--scale", "0.01") as running:
        yield running


def pairs(**changes: Any) -> dict[str, str]:
    parsed: dict[str, str] = _ConnectionStringParser(validate_keywords=True)._parse(
        connection_string(parse({**CONFIG, **changes}))
    )
    return parsed


def test_the_driver_is_told_every_setting_and_takes_every_keyword() -> None:
    # A file that holds no authority is compared with what the server shows.
    told = pairs(encrypt="strict", server_certificate=__file__, host_name_in_certificate="db", multi_subnet_failover=True)
    assert told == {
        "server": "tcp:db.example.com,1433",
        "database": "Shop",
        "uid": "reader",
        "pwd": "s3cret",
        "encrypt": "strict",
        "trustservercertificate": "no",
        "servercertificate": __file__,
        "hostnameincertificate": "db",
        "applicationintent": "ReadOnly",
        "multisubnetfailover": "yes",
        "keepalive": "51",
        "keepaliveinterval": "1",
        "connectretrycount": "0",
    }


@pytest.mark.parametrize("text", ["a;Encrypt=no", "}x{", "a}};PWD=b", " =;'\"", "senha çã 😀"])
def test_no_value_can_add_a_keyword(text: str) -> None:
    told = pairs(password=text, database=text, user=text, application_name=text)
    assert (told["pwd"], told["database"], told["uid"], told["encrypt"]) == (text, text, text, "yes")


@pytest.mark.parametrize(
    ("changes", "server"),
    [
        ({"host": "db\\sales"}, "tcp:db\\sales"),
        ({"host": "db\\sales", "port": 1444}, "tcp:db,1444"),
        ({"host": "10.0.0.7", "port": 1444}, "tcp:10.0.0.7,1444"),
    ],
)
def test_instances_and_ports(changes: dict[str, Any], server: str) -> None:
    assert pairs(**changes)["server"] == server


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"authentication": "service_principal", "client_id": "app", "client_secret": "s;x"},
            {"authentication": "ActiveDirectoryServicePrincipal", "uid": "app", "pwd": "s;x"},
        ),
        ({"authentication": "service_principal", "client_id": "app", "client_secret": "s", "tenant": "t"}, {}),
        ({"authentication": "managed_identity"}, {"authentication": "ActiveDirectoryMSI"}),
        ({"authentication": "managed_identity", "client_id": "app"}, {"authentication": "ActiveDirectoryMSI", "uid": "app"}),
        ({"authentication": "default"}, {"authentication": "ActiveDirectoryDefault"}),
        ({"authentication": "kerberos"}, {"trusted_connection": "yes"}),
        (
            {"authentication": "kerberos", "server_spn": "MSSQLSvc/db:1433;UID=sa"},
            {"trusted_connection": "yes", "serverspn": "MSSQLSvc/db:1433;UID=sa"},
        ),
    ],
)
def test_other_logins_carry_no_sql_login(changes: dict[str, Any], told: dict[str, str]) -> None:
    found = pairs(user=None, password=None, **changes)
    assert {k: v for k, v in found.items() if k in ("authentication", "uid", "pwd", "trusted_connection", "serverspn")} == told


def test_a_connection_autocommits_speaks_english_and_is_named(server: Counterpart) -> None:
    connection = connect(at(server, application_name="pipeline; night", query_timeout=7))
    assert (connection.autocommit, connection.timeout) == (True, 7)
    assert "APP={pipeline; night};" in connection.connection_str
    with connection.execute("SELECT DB_NAME()") as cursor:
        assert cursor.fetchone()[0] == server.facts["database"]
    connection.close()


def test_the_server_sees_the_applications_name(server: Counterpart) -> None:
    connection = connect(at(server, application_name="night; run"))
    with connection.execute("SELECT program_name FROM sys.dm_exec_sessions WHERE session_id = @@SPID") as cursor:
        assert cursor.fetchone()[0] == "night; run"
    connection.close()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": "wrong"}, "the login was refused: error 18456: Login failed for user 'reader'"),
        ({"database": "Nope"}, 'error 4060: Cannot open database "Nope"'),
        ({"server_certificate": None}, "certificate is not trusted"),
        ({"port": 1, "login_timeout": 2}, "the server does not answer"),
        ({"host": "nosuch.invalid", "login_timeout": 2}, "there is no such host"),
    ],
)
def test_a_first_connection_is_refused_at_once_with_what_to_mend(
    server: Counterpart, changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    clock = time.monotonic()
    with pytest.raises(ConnectionRefused) as refused:
        connect(at(server, **changes))
    text = str(refused.value)
    assert told in text
    assert "TAP_MSSQL_" in text
    assert "Nothing was read" in text
    assert server.secret not in text
    assert time.monotonic() - clock < 15


def test_a_server_that_is_silent_is_refused_within_the_login_timeout(server: Counterpart) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clock = time.monotonic()
        with pytest.raises(ConnectionRefused, match="the server does not answer"):
            connect(at(server, port=silent.getsockname()[1], login_timeout=2))
        assert time.monotonic() - clock < 4


def test_a_server_that_was_there_before_is_waited_for(server: Counterpart, caplog: pytest.LogCaptureFixture) -> None:
    away = at(server, port=1, login_timeout=1, retry_seconds=1)
    with pytest.raises(ReadFailed, match=r"stream a-b: .* tries \(retry_seconds\).*Finished ranges stay"):
        for attempt in retry.retrying(away, "stream a-b"):
            with attempt:
                open_connection(away)
    assert "try 2 in" in caplog.text


def test_a_closed_connection_is_never_handed_out_again(server: Counterpart) -> None:
    first = open_connection(at(server))
    first.execute("SET LOCK_TIMEOUT 1234").close()
    first.close()
    second = open_connection(at(server))
    with second.execute("SELECT @@SPID") as cursor:
        assert cursor.fetchone()
    assert not second._pooling
    second.close()


Faulty = tuple[Counterpart, Path]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """A server and the file that tells it what shall fail; each test writes its own."""
    folder = tmp_path_factory.mktemp("faulty")
    faults = folder / "faults.json"
    faults.write_text("{}")
    with counterpart("sqlserver", folder, "--scale", "0.01", "--faults", str(faults)) as running:
        yield running, faults


def test_azure_that_wakes_up_is_waited_for_from_the_first_connection_on(
    faulty: Faulty, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, faults = faulty
    monkeypatch.setattr(retry, "diagnose", lambda error, **how: replace(diagnose(error, **how), pause=0))
    for error in (40197, 40501, 40613, 49918, 49919, 49920, 10928, 10929):
        faults.write_text(json.dumps({"logins": [{"error": error, "times": 1}]}))
        connect(at(server)).close()
    assert caplog.text.count("try 2 in") == 8


def test_a_database_that_is_not_there_yet_is_waited_for_on_azure_only(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    server, faults = faulty
    faults.write_text(json.dumps({"logins": [{"error": 4060, "times": 2}]}))
    with pytest.raises(ConnectionRefused, match="TAP_MSSQL_DATABASE"):
        connect(at(server))
    monkeypatch.setattr(Settings, "azure", True)
    monkeypatch.setattr(retry, "diagnose", lambda error, **how: replace(diagnose(error, **how), pause=0))
    connect(at(server)).close()


@pytest.mark.parametrize(
    ("fault", "transient", "number", "what"),
    [
        ({"error": 1205}, True, 1205, ""),
        ({"error": 1205, "after_rows": 50}, True, 1205, ""),
        ({"error": 3961}, True, 3961, ""),
        ({"error": 40197}, True, 40197, "Azure"),
        ({"close": True, "after_rows": 50}, True, None, "the connection broke"),
        ({"close": True}, True, None, "the connection broke"),
        ({"error": 229}, False, 229, ""),
        ({"error": 230}, False, 230, ""),
        ({"error": 208}, False, 208, ""),
        ({"error": 207}, False, 207, ""),
        ({"error": 102}, False, 102, ""),
    ],
)
def test_errors_as_the_driver_reports_them(
    faulty: Faulty, fault: dict[str, Any], transient: bool, number: int | None, what: str
) -> None:
    server, faults = faulty
    faults.write_text("{}")
    connection = connect(at(server))
    faults.write_text(json.dumps({"statements": [{"match": "SalesOrderDetail", **fault}]}))
    with pytest.raises(retry.DRIVER_ERRORS) as raised, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM Sales.SalesOrderDetail")
        while cursor.arrow_batch(100).num_rows:
            pass
    found = diagnose(raised.value)
    assert (found.transient, found.number) == (transient, number) and what in found.what


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("instance"), "--scale", "0.001", "--instance", "SALES") as running:
        yield running


def test_a_named_instance_is_found_by_the_browser(instance: Counterpart) -> None:
    settings = at(instance, host="127.0.0.1\\sales", port=None)
    connect(settings).close()
    assert settings.where == "127.0.0.1\\sales, database 'AdventureWorks'"


def test_an_instance_that_nobody_knows_is_refused(instance: Counterpart) -> None:
    with pytest.raises(ConnectionRefused, match=r"127.0.0.1\\hr, .*knows no such instance.*UDP 1434 .* or set TAP_MSSQL_PORT"):
        connect(at(instance, host="127.0.0.1\\hr", port=None, login_timeout=2))
