"""What a load is refused for stops nothing but itself, and has a way out; on Sail and on real Spark."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from engine_kit import Lake
from lakehouse_kit import Made, make_load


def people(*rows: tuple[Any, ...], kind: pa.DataType | None = None) -> pa.Table:
    """Ids (of a type), names and the moment of their change."""
    return pa.table(
        {
            "Id": pa.array([row[0] for row in rows], kind or pa.int32()),
            "Name": pa.array([row[1] for row in rows], pa.string()),
            "Changed": pa.array([row[2] for row in rows], pa.int64()),
        }
    )


def incremental(lake: Lake, started: int, start: str | None, end: str, table: pa.Table, mode: str = "merge", **more: Any) -> Made:
    """A load of stream People from `start` to `end`; without a start the stream is read whole."""
    return make_load(
        lake.stage,
        more.pop("stream", "People"),
        [table],
        started=started,
        mode="overwrite" if start is None else mode,
        key_columns=["Id"] if mode == "merge" else [],
        cursor={"column": "Changed", "from": start, "to": end},
        bookmark={"replication_key": "Changed", "replication_key_value": end},
        **more,
    )


def test_a_refused_load_leaves_the_others_and_the_next_load_of_its_stream_covers_it(lake: Lake) -> None:
    whole = incremental(lake, 0, None, "1", people((1, "a", 1)))
    lake.run(whole)
    text = pa.table({"Id": pa.array(["two"]), "Name": ["b"], "Changed": [2]})
    bad = incremental(lake, 1, "1", "2", text)
    other = make_load(lake.stage, "Other", [people((9, "z", 9))], started=1)
    told = lake.run(bad, other, code=1)
    assert lake.statuses(bad, other) == ["refused", "applied"]
    assert "column Id is string now and int in people" in told["loads"][bad.load_id]["problems"][0]
    assert "entrypoint.sh refresh People" in told["loads"][bad.load_id]["action"]
    assert told["bookmarks"]["sqlserver"]["People"]["replication_key_value"] == "1"
    assert lake.ledger()[bad.load_id]["status"] == "refused"
    covering = incremental(lake, 2, "1", "3", people((2, "b", 2), (3, "c", 3)))
    lake.run(covering)
    assert lake.ledger()[bad.load_id]["status"] == "superseded"
    assert lake.rows("people", "Id", "Name") == [(1, "a"), (2, "b"), (3, "c")]
    assert lake.run(bad, covering)["loads"][bad.load_id]["status"] == "superseded"


def test_a_full_load_supersedes_what_was_refused_before_it(lake: Lake) -> None:
    lake.run(incremental(lake, 0, None, "1", people((1, "a", 1)), mode="append"))
    gap = incremental(lake, 1, "5", "6", people((6, "f", 6)), mode="append")
    told = lake.run(gap, code=1)["loads"][gap.load_id]
    assert "it starts at 5, the ledger ends at 1" in told["problems"][0]
    full = incremental(lake, 2, None, "7", people((7, "g", 7)), mode="append")
    lake.run(full)
    assert (lake.ledger()[gap.load_id]["status"], lake.rows("people", "Id")) == ("superseded", [(7,)])


def test_bad_bytes_of_the_right_size_are_damaged_until_they_are_sent_again(lake: Lake) -> None:
    load, other = incremental(lake, 0, None, "1", people((1, "a", 1))), make_load(lake.stage, "Other", [people((9, "z", 9))])
    part = lake.stage / "sqlserver" / load.manifest["files"][0]["path"]
    good = part.read_bytes()
    part.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    told = lake.run(load, other, code=1)["loads"][load.load_id]
    assert lake.statuses(load, other) == ["damaged", "applied"] and part.name in told["problems"][0]
    assert not (lake.tables / "people").exists() and load.load_id not in lake.ledger()
    part.unlink()
    assert lake.run(load, code=1)["loads"][load.load_id]["status"] == "damaged"
    assert lake.run(load, code=1, again=(load.load_id,))["loads"][load.load_id]["status"] == "refused"
    part.write_bytes(good)
    lake.run(load, code=1)
    lake.run(load, again=(load.load_id,))
    assert (lake.statuses(load), lake.rows("people", "Id")) == (["applied"], [(1,)])


def test_a_manifest_that_is_not_the_one_sent_or_of_a_later_version_stops_no_other(lake: Lake) -> None:
    load, later = incremental(lake, 0, None, "1", people((1, "a", 1))), make_load(lake.stage, "Later", [people((8, "y", 8))])
    later.rewrite(version=2)
    other = make_load(lake.stage, "Other", [people((9, "z", 9))])
    arguments = lake.order([load, later, other])
    load.path.write_text(load.path.read_text().replace('"run"', '"ruN"'))
    code, _ = lake.engine.run(arguments)
    assert (code, lake.statuses(load, later, other)) == (1, ["damaged", "damaged", "applied"])


def test_without_a_ledger_an_incremental_load_is_refused_and_the_bookmark_goes_back(lake: Lake) -> None:
    lake.run(incremental(lake, 0, None, "1", people((1, "a", 1))))
    first = lake.published()["ledger"]
    next_one = incremental(lake, 1, "1", "2", people((2, "b", 2)))
    drop(lake, "_loads")
    told = lake.run(next_one, code=1)
    assert "the ledger holds nothing of this stream" in told["loads"][next_one.load_id]["problems"][0]
    assert told["bookmarks"] == {} and told["ledger"] != first
    lake.run(incremental(lake, 2, None, "2", people((1, "a", 1), (2, "b", 2))))
    assert lake.rows("people", "Id") == [(1,), (2,)]


def test_without_its_table_an_incremental_load_is_refused_and_the_bookmark_goes_back(lake: Lake) -> None:
    lake.run(incremental(lake, 0, None, "1", people((1, "a", 1))), make_load(lake.stage, "Other", [people((9, "z", 9))]))
    drop(lake, "people")
    next_one = incremental(lake, 1, "1", "2", people((2, "b", 2)))
    told = lake.run(next_one, code=1)
    assert "gone or was made anew" in told["loads"][next_one.load_id]["problems"][0]
    assert set(told["bookmarks"]["sqlserver"]) == {"Other"} and not (lake.tables / "people").exists()
    assert set(lake.run(make_load(lake.stage, "Other", [people((8, "y", 9))], started=1))["bookmarks"]["sqlserver"]) == {"Other"}
    lake.run(incremental(lake, 2, None, "2", people((1, "a", 1), (2, "b", 2))))
    assert lake.rows("people", "Id") == [(1,), (2,)] and "People" in lake.published()["bookmarks"]["sqlserver"]


def test_an_append_into_a_table_that_the_ledger_does_not_know_is_refused(lake: Lake) -> None:
    lake.run(incremental(lake, 0, None, "1", people((1, "a", 1)), mode="append"))
    drop(lake, "_loads")
    load = incremental(lake, 1, None, "2", people((1, "a", 1), (2, "b", 2)), mode="append")
    load.rewrite(mode="append")
    told = lake.run(load, code=1)["loads"][load.load_id]
    assert "rows would be double" in told["problems"][0] and lake.rows("people", "Id") == [(1,)]


def test_no_rows_replace_rows_only_where_the_source_says_that_it_is_empty(lake: Lake) -> None:
    lake.run(make_load(lake.stage, "People", [people((1, "a", 1))]))
    silent = make_load(lake.stage, "People", [], schema=people().schema, started=1, source_rows=None)
    told = lake.run(silent, code=1)["loads"][silent.load_id]
    assert "does not say that it is empty" in told["problems"][0] and lake.rows("people", "Id") == [(1,)]
    lake.run(make_load(lake.stage, "People", [], schema=people().schema, started=2))
    assert lake.rows("people", "Id") == []


def drop(lake: Lake, table: str) -> None:
    """Takes a table away, as its owner may."""
    import shutil

    shutil.rmtree(lake.tables / table)
