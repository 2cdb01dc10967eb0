"""Another LAKEHOUSE_TARGET or LAKEHOUSE_STAGE than before, in the same folder: each target has all that the source has, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from chain_kit import Pipeline
from source_kit import execute

OPTIONS = [
    {"pattern": "dbo.MovedKeyed", "replication_key": "c"},
    {"pattern": "dbo.MovedLog", "replication_key": "c"},
    {"pattern": "dbo.MovedWhole", "replication_method": "FULL_TABLE"},
]
TABLES = ("MovedKeyed", "MovedLog", "MovedWhole")


@pytest.fixture(scope="module")
def moved(pipeline: Callable[[str], Pipeline]) -> Iterator[Pipeline]:
    """A merged, an appended and a full stream; the files of all loads stay."""
    one = pipeline("moved")
    one.environment |= {
        "TAP_MSSQL_STREAMS": '["dbo.Moved*"]',
        "TAP_MSSQL_STREAM_OPTIONS": json.dumps(OPTIONS),
        "TAP_REST_API_MSDK__SELECT": '["!*.*"]',
    }
    for table in TABLES:
        key = "" if table == "MovedLog" else " PRIMARY KEY"
        execute(one.sandbox.sqlserver, f"CREATE TABLE dbo.{table} (id int NOT NULL{key}, c int NOT NULL)")
    try:
        grow(one, 1, 2, 3)
        yield one
    finally:
        for table in TABLES:
            execute(one.sandbox.sqlserver, f"DROP TABLE dbo.{table}")


def grow(one: Pipeline, *ids: int) -> None:
    for table in TABLES:
        execute(one.sandbox.sqlserver, f"INSERT INTO dbo.{table} VALUES {', '.join(f'({each}, {each})' for each in ids)}")


def exact(one: Pipeline, last: int) -> None:
    """Of the stream without a key, the rows with the greatest value wait (N8)."""
    found, ids = held(one), list(range(1, last + 1))
    assert found["dbo_moved_keyed"] == found["dbo_moved_whole"] == ids, found
    assert found["dbo_moved_log"] in (ids, ids[:-1]), found


def held(one: Pipeline) -> dict[str, list[int]]:
    return {name: sorted(one.table(name)["id"].to_pylist()) for name in ("dbo_moved_keyed", "dbo_moved_log", "dbo_moved_whole")}


def run(one: Pipeline, **places: str) -> None:
    """A run with other places than before, in which nothing is amiss: no load is refused, or told to be of another target."""
    one.environment |= places
    result = one.run()
    assert result.code == 0, result.text
    for words in ("not sent", "not in Delta", "refused", "What to do"):
        assert words not in result.text, result.text


def modes(one: Pipeline) -> list[str]:
    return [str(one.manifest(f"dbo-{table}")["mode"]) for table in TABLES]


def test_targets_and_stages_change_back_and_forth_and_each_target_has_all_once(moved: Pipeline) -> None:
    place = moved.environment["LAKEHOUSE_TARGET"]
    run(moved, LAKEHOUSE_TARGET="")
    assert moved.manifest("dbo-MovedLog")["target"] == "lighthouse", "the default: its loads go to no other target either"
    run(moved, LAKEHOUSE_TARGET=place)
    exact(moved, 3)
    assert len(moved.ledger()) == 3 and modes(moved) == ["overwrite"] * 3
    grow(moved, 4)
    run(moved, LAKEHOUSE_TARGET="dbfs:/moved/other")
    exact(moved, 4)
    assert modes(moved) == ["overwrite"] * 3
    status = moved.run("status")
    assert "Every load is in Delta." in status.text, status.text
    grow(moved, 5)
    run(moved, LAKEHOUSE_TARGET=place)
    exact(moved, 5)
    assert modes(moved) == ["merge", "append", "overwrite"], "it goes on where this target's ledger ends"
    grow(moved, 6)
    moved.environment["LAKEHOUSE_STAGE"] = "dbfs:/moved/stage2"
    assert moved.run().code == 0
    exact(moved, 6)
    assert modes(moved) == ["merge", "append", "overwrite"], "the loads that are here bring the bookmarks back"
