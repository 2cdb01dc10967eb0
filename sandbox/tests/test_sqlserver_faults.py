"""Faults on request: errors at login, before a statement and amid its rows, cuts, and changes just before a statement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mssql_python
import pytest
from sqlserver_kit import Counterpart, connect, failure, one, rows, running

QUERY = "SELECT SalesOrderDetailID FROM Sales.SalesOrderDetail ORDER BY SalesOrderDetailID"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Counterpart]:
    with running(place, "--faults", str(place / "faults.json"), "--scale", "0.05") as found:
        yield found


@pytest.fixture
def faults(place: Path) -> Iterator[Any]:
    file = place / "faults.json"
    yield lambda **rules: file.write_text(json.dumps(rules))
    file.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (40613, "is not currently available"),
        (4060, "Cannot open database"),
        (18456, "Login failed"),
        (49918, "Not enough resources"),
    ],
)
def test_a_login_fails_as_often_as_told(server: Counterpart, faults: Any, number: int, text: str) -> None:
    faults(logins=[{"error": number, "times": 2}])
    for _ in range(2):
        with pytest.raises(mssql_python.Error, match=text):
            connect(server)
    assert one(connect(server).cursor(), "SELECT 1") == 1


def test_a_login_is_cut(server: Counterpart, faults: Any) -> None:
    faults(logins=[{"close": True}])
    with pytest.raises(mssql_python.Error):
        connect(server)
    assert one(connect(server).cursor(), "SELECT 1") == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1205, "deadlock victim"), (40197, "encountered an error"), (208, "Invalid object name"), (3961, "DDL statement"),
        (229, "was denied on the object"), (230, "was denied on the column"), (1222, "Lock request time out"),
    ],
)  # fmt: skip
def test_a_statement_fails_and_the_connection_lives(server: Counterpart, faults: Any, number: int, text: str) -> None:
    cursor = connect(server).cursor()
    faults(statements=[{"match": "from sales", "error": number}])
    assert text in failure(cursor, QUERY)
    assert len(rows(cursor, QUERY)) == 6_066


def test_an_error_of_class_20_ends_the_connection(server: Counterpart, faults: Any) -> None:
    cursor = connect(server).cursor()
    faults(statements=[{"match": "Sales", "error": 40501}])
    assert "currently busy" in failure(cursor, QUERY)
    failure(cursor, "SELECT 1")
    assert one(connect(server).cursor(), "SELECT 1") == 1


@pytest.mark.parametrize(
    ("what", "message"), [({"error": 1205}, "deadlock victim"), ({"close": True}, "Communication link failure")]
)
def test_a_statement_fails_amid_its_rows(server: Counterpart, faults: Any, what: dict[str, Any], message: str) -> None:
    cursor = connect(server).cursor()
    faults(statements=[{"match": "Sales", "after_rows": 5_000, **what}])
    cursor.execute(QUERY)
    got: list[Any] = []
    with pytest.raises(mssql_python.Error, match=message):
        while found := cursor.fetchmany(100):
            got += [row[0] for row in found]
    assert got == list(range(1, len(got) + 1))
    assert len(got) == 5_000 if "error" in what else len(got) < 5_000


def test_a_cut_between_two_rows_is_no_error_to_the_driver(server: Counterpart, faults: Any) -> None:
    """So who reads must know how many rows to expect."""
    cursor = connect(server).cursor()
    faults(statements=[{"match": "Sales", "after_rows": 5_000, "close": "between rows"}])
    cursor.execute(QUERY)
    assert sum(iter(lambda: cursor.arrow_batch(1_024).num_rows, 0)) == 5_000


def test_arrow_rows_before_a_fault_are_not_taken_for_all(server: Counterpart, faults: Any) -> None:
    cursor = connect(server).cursor()
    faults(statements=[{"match": "Sales", "after_rows": 5_000, "error": 1205}])
    cursor.execute(QUERY)
    with pytest.raises(Exception, match="deadlock victim"):
        while cursor.arrow_batch(1_024).num_rows:
            pass


def test_a_deadlock_rolls_the_transaction_back(server: Counterpart, faults: Any) -> None:
    cursor = connect(server).cursor()
    cursor.execute("CREATE TABLE dbo.Victim (id int PRIMARY KEY)")
    faults(statements=[{"match": "SELECT id FROM dbo.Victim", "error": 1205}])
    cursor.execute("BEGIN TRAN INSERT INTO dbo.Victim VALUES (1)")
    failure(cursor, "SELECT id FROM dbo.Victim")
    assert one(cursor, "SELECT @@TRANCOUNT") == 0
    assert one(cursor, "SELECT COUNT(*) FROM dbo.Victim") == 0


def test_another_session_acts_just_before_a_statement(server: Counterpart, faults: Any) -> None:
    cursor = connect(server).cursor()
    cursor.execute("CREATE TABLE dbo.Drift (id int PRIMARY KEY)")
    faults(statements=[{"match": "FROM dbo.Drift", "skip": 1, "run": "ALTER TABLE dbo.Drift ADD extra int NULL"}])
    widths = [len(cursor.execute("SELECT * FROM dbo.Drift").description) for _ in range(3)]
    assert widths == [1, 2, 2]


def test_a_file_of_unknown_keys_is_refused_by_name(server: Counterpart, faults: Any) -> None:
    cursor = connect(server).cursor()
    faults(statements=[{"mtach": "x", "error": 1205}])
    assert "unknown keys: mtach" in failure(cursor, "SELECT 1")
