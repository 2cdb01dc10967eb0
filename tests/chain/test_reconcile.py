"""`entrypoint.sh reconcile` names the key ranges that differ, `repair` replaces them and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable

from chain_kit import Pipeline
from deltalake import DeltaTable, write_deltalake
from lakehouse_kit import fits
from source_kit import assert_delta_is_the_source, execute, rows

DETAIL, HEADER, CUSTOMER = "Sales-SalesOrderDetail", "Sales-SalesOrderHeader", "Sales-Customer"


def test_what_differs_is_named_and_repaired_and_the_bookmark_stays(pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("reconcile")
    first = one.run()
    assert first.code == 0, first.text

    server = one.sandbox.sqlserver
    [(order, customer)] = rows(server, "SELECT MIN(SalesOrderID), MAX(CustomerID) FROM Sales.SalesOrderHeader")
    table = DeltaTable(str(one.delta / "sales_sales_order_header"))
    table.update(updates={"Comment": "'changed behind the back'"}, predicate=f"SalesOrderID = {order}")
    detail = DeltaTable(str(one.delta / "sales_sales_order_detail"))
    detail.delete(f"SalesOrderID = {order}")
    write_deltalake(detail, detail.to_pyarrow_table().slice(7, 1), mode="append")
    execute(server, f"UPDATE Sales.Customer SET AccountNumber = 'AW-new' WHERE CustomerID = {customer}")
    before = {row["stream"]: row["bookmark"] for row in one.ledger()}

    differs = one.run("reconcile")
    assert differs.code == 6, differs.text
    assert f"{HEADER}, SalesOrderID up to " in differs.text and "Comment: hash" in differs.text
    assert f"entrypoint.sh repair {CUSTOMER} {DETAIL} {HEADER}" in differs.text
    [*_, kept] = sorted((one.output / "reconcile").iterdir())
    found = {each["stream"]: each for each in fits("reconciliation", json.loads(kept.read_text()))["tables"]}
    assert {stream for stream, each in found.items() if each["differing"]} == {DETAIL, HEADER, CUSTOMER}
    assert {one["figure"] for one in found[CUSTOMER]["differing"][0]["differences"]} == {"hash"}
    assert found[DETAIL]["ranges"] == 12 and 1 <= len(found[DETAIL]["differing"]) <= 2

    repaired = one.run("repair")
    assert repaired.code == 0, repaired.text
    last = repaired.text.rpartition("Reconciled")[2]
    assert last.count("yes") == 17 and "NO" not in last
    assert_delta_is_the_source(one)
    manifest = one.manifest(DETAIL)
    assert manifest["mode"] == "repair" and manifest["rows"] < detail.to_pyarrow_table().num_rows
    assert {row["stream"]: row["bookmark"] for row in one.ledger() if row["mode"] != "repair"} == before
    assert len([row for row in one.ledger() if row["mode"] == "repair"]) == 3
    told = one.run("reconcile", "Sales-Custmer")
    assert told.code == 2 and "the nearest is Sales-Customer" in told.text
    assert one.run("repair", "--all").code == 2
