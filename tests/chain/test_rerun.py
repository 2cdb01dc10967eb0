"""Running again: nothing twice, only what is new, also where the working folder is gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from chain_kit import SECRETS, Pipeline, Result, forms_of, strays
from lakehouse_kit import fits
from source_kit import assert_delta_is_the_source, execute, rows, total

STREAM, TABLE = "Sales-SalesOrderHeader", "sales_sales_order_header"
COPIED = (
    "RevisionNumber, OrderDate, DueDate, ShipDate, Status, OnlineOrderFlag, PurchaseOrderNumber, AccountNumber, CustomerID, "
    "SalesPersonID, TerritoryID, BillToAddressID, ShipToAddressID, ShipMethodID, CreditCardID, CreditCardApprovalCode, "
    "CurrencyRateID, SubTotal, TaxAmt, Freight, Comment"
)


def insert_orders(pipeline: Pipeline, count: int) -> None:
    """Copies of the first orders, modified later than any other."""
    server = pipeline.sandbox.sqlserver
    newest = rows(server, "SELECT MAX(ModifiedDate) FROM Sales.SalesOrderHeader")[0][0]
    first = rows(server, "SELECT MIN(SalesOrderID) FROM Sales.SalesOrderHeader")[0][0]
    execute(
        server,
        f"INSERT INTO Sales.SalesOrderHeader ({COPIED}, rowguid, ModifiedDate) SELECT {COPIED}, NEWID(), "
        f"DATEADD(minute, SalesOrderID - {first} + 1, '{newest:%Y-%m-%dT%H:%M:%S}.{newest.microsecond // 1000:03d}') "
        f"FROM Sales.SalesOrderHeader WHERE SalesOrderID < {first + count}",
    )


def assert_orders_are_exact(pipeline: Pipeline) -> None:
    count, money = rows(pipeline.sandbox.sqlserver, "SELECT COUNT(*), SUM(SubTotal) FROM Sales.SalesOrderHeader")[0]
    found = pipeline.table(TABLE)
    assert (found.num_rows, total(found["SubTotal"])) == (count, money)


def assert_lines_tell_the_run(result: Result) -> None:
    """Every line is an object of the one schema, and the figures of an incremental stream are those read and those in Delta."""
    told = [fits("log-line", json.loads(line)) for line in result.lines]
    steps = [step for step, _ in groupby(sorted(told, key=lambda line: line["time"]), key=lambda line: line["step"])]
    assert steps == ["run", "extract", "upload", "convert", "verify", "run"]
    read, proven = (
        [line for line in told if line["step"] == step and line["stream"] == STREAM] for step in ("extract", "verify")
    )
    assert len(read) == len(proven) == 1 and read[0]["load"] == proven[0]["load"]
    assert read[0]["figures"]["rows"] == proven[0]["figures"]["rows"] < 100 < proven[0]["figures"]["delta_rows"]
    assert {line["figures"]["equal"] for line in told if line["step"] == "verify" and line["stream"]} == {True}
    assert {line["level"] for line in told} == {"info"}


def test_a_run_again_reads_only_what_is_new_and_loads_nothing_twice(
    first: tuple[Pipeline, Result], pipeline: Callable[[str], Pipeline], tmp_path: Path
) -> None:
    one, _ = first
    before = {name: one.table(name).num_rows for name in one.tables()}
    ledger = one.ledger()
    assert len(ledger) == len(before) == len({row["load_id"] for row in ledger})
    assert {row["rows"] for row in ledger} == {row["delta_rows"] for row in ledger}
    old = one.manifest(STREAM)
    insert_orders(one, 7)
    server = one.sandbox.sqlserver  # other tests change orders there too
    newer = rows(server, f"SELECT COUNT(*) FROM Sales.SalesOrderHeader WHERE ModifiedDate >= '{old['cursor']['to']}'")[0][0]

    again = one.run(LOG_FORMAT="json")
    assert again.code == 0, again.text
    assert_lines_tell_the_run(again)
    new = one.manifest(STREAM)
    assert new["rows"] == new["source_rows"] == newer >= 8, "the new ones, and those with the bookmark's own value again"
    assert new["cursor"]["from"] == old["cursor"]["to"]
    after = {name: one.table(name).num_rows for name in one.tables()}
    assert after == before | {TABLE: before[TABLE] + 7, "sales_v_order_totals": before["sales_v_order_totals"]}
    later = one.ledger()
    assert {row["load_id"] for row in ledger} < {row["load_id"] for row in later}
    assert len(later) == 2 * len(ledger) == len({row["load_id"] for row in later})
    assert strays(one.output) == []
    assert_orders_are_exact(one)

    insert_orders(one, 3)
    elsewhere = pipeline("elsewhere")
    elsewhere.environment |= {
        name: value for name, value in one.environment.items() if name.startswith("LAKEHOUSE_") or name in SECRETS
    }
    resumed = elsewhere.run(LOG_LEVEL="debug")
    assert resumed.code == 0, resumed.text
    told = [name for name in SECRETS if any(form in resumed.text for form in forms_of(elsewhere, name))]
    assert told == [], "a secret also where everything is told"
    assert elsewhere.manifest(STREAM)["rows"] == 3 + 1
    assert strays(elsewhere.output) == []
    assert len({row["load_id"] for row in elsewhere.ledger()}) == len(elsewhere.ledger()) == 3 * len(ledger)
    assert_orders_are_exact(elsewhere)
    assert_delta_is_the_source(elsewhere)
    shutil.rmtree(elsewhere.folder)
