"""`entrypoint.sh refresh` and `run --full-refresh`: streams are read whole and replace their tables, and no other is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from chain_kit import Pipeline, Result
from source_kit import execute

STREAM, TABLE = "dbo-Re.fresh [ed]", "dbo_re_fresh_ed"
ORDERS = "SalesOrderHeader"


@pytest.fixture(scope="module")
def loaded(pipeline: Callable[[str], Pipeline]) -> Iterator[Pipeline]:
    """Two streams of SQL Server, one of them incremental, and those of the API; each run with one row less at the source."""
    one = pipeline("refresh")
    one.environment |= {
        "TAP_MSSQL_STREAMS": '["dbo.Re.fresh [ed]", "Sales.SalesTerritory"]',
        "TAP_MSSQL_STREAM_OPTIONS": '[{"pattern": "dbo.*", "replication_key": "c"}]',
    }
    server = one.sandbox.sqlserver
    execute(server, "CREATE TABLE dbo.[Re.fresh [ed]]] (id int NOT NULL PRIMARY KEY, c int NOT NULL)")
    execute(server, "INSERT INTO dbo.[Re.fresh [ed]]] VALUES (1, 1), (2, 2), (3, 3)")
    try:
        done = one.run()
        assert done.code == 0, done.text
        execute(server, "DELETE FROM dbo.[Re.fresh [ed]]] WHERE id = 1")
        yield one
    finally:
        execute(server, "DROP TABLE dbo.[Re.fresh [ed]]]")


def ids(one: Pipeline) -> list[int]:
    return sorted(one.table(TABLE)["id"].to_pylist())


def good(result: Result) -> None:
    assert result.code == 0, result.text


def test_a_stream_is_read_whole_and_replaced_and_no_other_is_touched(loaded: Pipeline) -> None:
    before = {row["load_id"] for row in loaded.ledger()}
    planned = loaded.run("plan", "--json").text
    steps = {step["stream"]: step for step in json.loads(planned[planned.index("[\n") : planned.rindex("]") + 1])}
    assert (steps[STREAM]["mode"], steps[STREAM]["bookmark"]) == ("merge", "3"), "plan knows what the last run has read"
    assert ids(loaded) == [1, 2, 3], "a deleted row stays"
    good(loaded.run("refresh", STREAM))
    new = [row for row in loaded.ledger() if row["load_id"] not in before]
    assert [(row["stream"], row["mode"]) for row in new] == [(STREAM, "overwrite")]
    assert ids(loaded) == [2, 3]
    assert loaded.manifest(STREAM)["target"] == loaded.environment["LAKEHOUSE_TARGET"]


def test_a_stream_of_the_api_is_refreshed_by_its_own_tap_alone(loaded: Pipeline) -> None:
    before = {row["load_id"] for row in loaded.ledger()}
    refreshed = loaded.run("refresh", ORDERS)
    good(refreshed)
    assert [row["stream"] for row in loaded.ledger() if row["load_id"] not in before] == [ORDERS]
    assert "meltano run tap-rest-api-msdk target-parquet-api\n" in refreshed.text


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Sales-SalesTeritory"], "there is no stream 'Sales-SalesTeritory'; did you mean Sales-SalesTerritory?"),
        ([ORDERS, "nowhere"], "there is no stream 'nowhere'\n"),
        ([], "refresh needs the name of a stream"),
    ],
)
def test_an_unknown_stream_is_refused_with_the_nearest_name(names: list[str], told: str, loaded: Pipeline) -> None:
    before = len(loaded.ledger())
    refused = loaded.run("refresh", *names)
    assert refused.code == 2 and f"entrypoint.sh: {told}" in refused.text, refused.text
    assert len(loaded.ledger()) == before


def test_a_full_refresh_replaces_every_table(loaded: Pipeline) -> None:
    execute(loaded.sandbox.sqlserver, "DELETE FROM dbo.[Re.fresh [ed]]] WHERE id = 2")
    before = {row["load_id"] for row in loaded.ledger()}
    good(loaded.run("run", "--full-refresh"))
    new = [row for row in loaded.ledger() if row["load_id"] not in before]
    assert {row["mode"] for row in new} == {"overwrite"} and {row["table_name"] for row in new} == loaded.tables()
    assert ids(loaded) == [3]
