"""What passes by itself is tried again within a budget, what lasts is told at once with what mends it."""

from __future__ import annotations

import logging
import threading

import mssql_python
import pytest
from mssql_python.exceptions import sqlstate_to_exception

from singer_arrow.errors import SelectionRefused
from tap_mssql.config.settings import Settings, parse
from tap_mssql.errors import ConnectionRefused, ReadFailed, TapError
from tap_mssql.server import retry
from tap_mssql.server.diagnosis import diagnose, driver_text
from tap_mssql.server.retry import retrying

CONFIG = {"host": "db.example.com", "user": "reader", "password": "s3cret", "database": "Shop"}
DEADLOCK = (
    "Transaction (Process ID 62) was deadlocked on lock resources with another process and has been chosen as the deadlock "
    "victim. Rerun the transaction."
)
MOVED = "Database 'Shop' on server 'x' is not currently available.  Please retry the connection later."
BUSY = "The service is currently busy. Retry the request after 10 seconds. Incident ID: {0}. Code: 0."
LIMIT = "Resource ID: 1. The request limit for the database is 30 and has been reached."
GUARANTEE = (
    "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 30 and the current usage for the database is 30."
)
NO_DATABASE = 'Cannot open database "Shop" requested by the login. The login failed.'


def error(state: str, text: str, product: str = "[SQL Server]") -> Exception:
    made = sqlstate_to_exception(state, f"[Microsoft][ODBC Driver 18 for SQL Server]{product}{text}")
    assert isinstance(made, Exception)
    return made


def settings(**changes: object) -> Settings:
    return parse({**CONFIG, **changes})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "LEAST_WAIT", 0.001)


@pytest.mark.parametrize(
    ("state", "text", "number"),
    [
        ("40001", DEADLOCK, 1205),
        ("HY000", "Lock request time out period exceeded.", 1222),
        ("42000", "The service has encountered an error processing your request. Please try again. Error code 1.", 40197),
        ("42000", BUSY, 40501),
        ("42000", MOVED, 40613),
        ("42000", "Cannot process request. Not enough resources to process request. Please retry your request later.", 49918),
        ("42000", 'Cannot process create or update request. Too many create or update operations in progress for "1".', 49919),
        ("42000", 'Cannot process request. Too many operations in progress for subscription "1".', 49920),
        ("42000", LIMIT, 10928),
        ("42000", GUARANTEE, 10929),
        ("40001", "Transaktion abgebrochen", None),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_passes_by_itself_is_transient(state: str, text: str, number: int | None, first: bool) -> None:
    fault = diagnose(error(state, text), first=first and number is not None)
    assert (fault.transient, fault.number) == (True, number)


@pytest.mark.parametrize(
    ("state", "text", "number", "advice"),
    [
        ("28000", "Login failed for user 'reader'.", 18456, "TAP_MSSQL_PASSWORD"),
        ("28000", "Login failed for user 'reader'.  Reason: The password of the account has expired.", 18487, "set a new one"),
        ("28000", "Login failed for user 'reader' because the account is currently locked out.", 18486, "unlock"),
        ("42000", "The SELECT permission was denied on the object 't', database 'Shop', schema 'dbo'.", 229, "GRANT SELECT"),
        ("42000", "The SELECT permission was denied on the column 'c' of the object 't'.", 230, "on_unreadable"),
        ("42S02", "Invalid object name 'Sales.t'.", 208, "discover again"),
        ("42S22", "Invalid column name 'c'.", 207, "discover again"),
        ("42000", "Incorrect syntax near 'x'.", 102, "report"),
        ("42000", NO_DATABASE, 4060, "TAP_MSSQL_DATABASE"),
        (
            "08001",
            "SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate]",
            None,
            "PEM file",
        ),
        ("HY000", "SSPI Provider: Ticket expired", None, "type kinit again"),
        ("HY000", "SSPI Provider: Clock skew too great", None, "by NTP"),
        ("HY000", "SSPI Provider: something that nobody has seen", None, "how-to-log-in-with-kerberos.md"),
        ("28000", "Login failed. The login is from an untrusted domain and cannot be used.", 18452, "authentication: kerberos"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_lasts_says_what_mends_it(state: str, text: str, number: int | None, advice: str, first: bool) -> None:
    fault = diagnose(error(state, text), first=first)
    assert (fault.transient, fault.number) == (False, number)
    assert advice in fault.advice


def test_a_database_that_cannot_be_opened_is_waited_for_on_azure_only() -> None:
    assert diagnose(error("42000", NO_DATABASE), azure=True, first=True).transient
    assert not diagnose(error("42000", NO_DATABASE), azure=False, first=True).transient


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("08S01", "TCP Provider: Error code 0x2746"),
        ("08S01", "Communication link failure"),
        ("08001", "TCP Provider: Error code 0x2749"),
        ("08001", "TCP Provider: Timeout error [258]. "),
        ("HYT00", "Login timeout expired"),
        ("HYT01", "Connection timeout expired"),
        ("HYT00", "Query timeout expired"),
    ],
)
def test_a_broken_link_is_waited_for_unless_the_server_never_answered(state: str, text: str) -> None:
    later, first = diagnose(error(state, text, "")), diagnose(error(state, text, ""), first=True)
    assert later.transient and not first.transient
    assert "TAP_MSSQL_HOST" in first.advice


def test_a_kdc_that_is_away_is_waited_for_unless_it_never_answered() -> None:
    away = error("HY000", "SSPI Provider: No credentials were supplied. Cannot contact any KDC for realm 'EXAMPLE.TEST'")
    later, first = diagnose(away), diagnose(away, first=True)
    assert later.transient and not first.transient
    assert "KRB5_CONFIG" in first.advice


def test_native_errors_and_closed_connections_are_broken_links() -> None:
    assert diagnose(
        RuntimeError("SQLSTATE:08S01:[Microsoft][ODBC Driver 18 for SQL Server]TCP Provider: Error code 0x68")
    ).transient
    assert diagnose(mssql_python.InterfaceError("Cannot create cursor on closed connection", "")).transient
    assert driver_text(RuntimeError("SQLSTATE:08S01:[Microsoft][ODBC Driver 18 for SQL Server]gone.")) == "gone"


def test_a_retry_goes_on_where_it_works_and_says_each_time_what_and_why(caplog: pytest.LogCaptureFixture) -> None:
    tries = []
    with caplog.at_level(logging.WARNING, "tap-mssql"):
        for attempt in retrying(settings(), "stream Sales-Order, range 7"):
            with attempt:
                tries.append(1)
                if len(tries) < 4:
                    raise error("40001", DEADLOCK)
    assert len(tries) == 4
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.startswith("stream Sales-Order, range 7: ") and "deadlock" in line and " in 0." in line for line in lines)


def test_a_lasting_error_is_told_at_once() -> None:
    tries = []
    with pytest.raises(ReadFailed) as failed:
        for attempt in retrying(settings(), "stream Sales-Order"):
            with attempt:
                tries.append(1)
                raise error("42S02", "Invalid object name 'Sales.Order'.")
    assert len(tries) == 1
    text = str(failed.value)
    for told in (
        "stream Sales-Order",
        "error 208",
        "Invalid object name 'Sales.Order'",
        "nothing of this load is staged",
        "discover",
    ):
        assert told in text


def test_it_gives_up_within_the_budget_and_says_how_often_it_tried() -> None:
    tries = []
    with pytest.raises(ConnectionRefused, match=r"after \d+ tries \(retry_seconds\).*deadlock victim") as failed:
        for attempt in retrying(settings(retry_seconds=1), "connecting", failure=ConnectionRefused):
            with attempt:
                tries.append(1)
                raise error("40001", DEADLOCK)
    assert len(tries) > 3
    assert isinstance(failed.value.__cause__, mssql_python.Error)


def test_no_budget_means_one_try_and_a_busy_service_is_left_alone_for_its_ten_seconds() -> None:
    for seconds in (0, 9):
        tries = []
        with pytest.raises(TapError):
            for attempt in retrying(settings(retry_seconds=seconds), "x"):
                with attempt:
                    tries.append(1)
                    raise error("42000", BUSY)
        assert len(tries) == 1


@pytest.mark.parametrize("raised", [SelectionRefused("no", action="none"), ValueError("bug"), KeyboardInterrupt()])
def test_errors_of_others_pass_through_untouched(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as passed:
        for attempt in retrying(settings(), "x"):
            with attempt:
                raise raised
    assert passed.value is raised


def test_a_stop_ends_the_waiting() -> None:
    stopping, tries = threading.Event(), []
    with pytest.raises(ReadFailed):
        for attempt in retrying(settings(), "x", stopping=stopping):
            with attempt:
                tries.append(1)
                stopping.set()
                raise error("42000", BUSY)
    assert len(tries) == 1
