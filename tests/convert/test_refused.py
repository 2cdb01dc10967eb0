"""What a load is refused for stops nothing but itself, and has a way out; on Sail and on real Spark."""

from __future__ import annotations

import shutil
from typing import Any

import pyarrow as pa
from engine_kit import Lake
from lakehouse_kit import Made, make_load
from story_kit import Ask, Play, Scenario, Stories, on, scenarios, seldom_on_spark

WITHOUT_LEDGER = "without its ledger"  # the lake of those that lose it


def people(*rows: tuple[Any, ...], kind: pa.DataType | None = None) -> pa.Table:
    """Ids (of a type), names and the moment of their change."""
    return pa.table(
        {
            "Id": pa.array([row[0] for row in rows], kind or pa.int32()),
            "Name": pa.array([row[1] for row in rows], pa.string()),
            "Changed": pa.array([row[2] for row in rows], pa.int64()),
        }
    )


def incremental(
    lake: Lake, stream: str, started: int, start: str | None, end: str, table: pa.Table, mode: str = "merge", **more: Any
) -> Made:
    """A load of a stream from `start` to `end`; without a start the stream is read whole."""
    return make_load(
        lake.stage,
        stream,
        [table],
        started=started,
        mode="overwrite" if start is None else mode,
        key_columns=["Id"] if mode == "merge" else [],
        cursor={"column": "Changed", "from": start, "to": end},
        bookmark={"replication_key": "Changed", "replication_key_value": end},
        **more,
    )


def bookmark(lake: Lake, stream: str) -> Any:
    """What is published of a stream, None where there is none."""
    return lake.published()["bookmarks"].get("sqlserver", {}).get(stream, {}).get("replication_key_value")


@seldom_on_spark
def a_refused_load_leaves_the_others_and_the_next_load_of_its_stream_covers_it(lake: Lake) -> Scenario:
    yield [incremental(lake, "kinds", 0, None, "1", people((1, "a", 1)))]
    text = pa.table({"Id": pa.array(["two"]), "Name": ["b"], "Changed": [2]})
    bad = incremental(lake, "kinds", 1, "1", "2", text)
    other = make_load(lake.stage, "bystander", [people((9, "z", 9))], started=1)
    told = yield [bad, other]
    assert [told[each.load_id]["status"] for each in (bad, other)] == ["refused", "applied"]
    assert "column Id is string now and int in kinds" in told[bad.load_id]["problems"][0]
    assert "entrypoint.sh refresh kinds" in told[bad.load_id]["action"]
    assert bookmark(lake, "kinds") == "1"
    assert lake.ledger()[bad.load_id]["status"] == "refused"
    covering = incremental(lake, "kinds", 2, "1", "3", people((2, "b", 2), (3, "c", 3)))
    yield [covering]
    assert lake.ledger()[bad.load_id]["status"] == "superseded"
    assert lake.rows("kinds", "Id", "Name") == [(1, "a"), (2, "b"), (3, "c")]
    told = yield [bad, covering]
    assert told[bad.load_id]["status"] == "superseded"


@seldom_on_spark
def a_full_load_supersedes_what_was_refused_before_it(lake: Lake) -> Scenario:
    yield [incremental(lake, "gaps", 0, None, "1", people((1, "a", 1)), mode="append")]
    gap = incremental(lake, "gaps", 1, "5", "6", people((6, "f", 6)), mode="append")
    told = yield [gap]
    assert "it starts at 5, the ledger ends at 1" in told[gap.load_id]["problems"][0]
    yield [incremental(lake, "gaps", 2, None, "7", people((7, "g", 7)), mode="append")]
    assert (lake.ledger()[gap.load_id]["status"], lake.rows("gaps", "Id")) == ("superseded", [(7,)])


def bad_bytes_of_the_right_size_are_damaged_until_they_are_sent_again(lake: Lake) -> Scenario:
    load, other = incremental(lake, "bytes", 0, None, "1", people((1, "a", 1))), whole(lake, "beside_bytes")
    part = lake.stage / "sqlserver" / load.manifest["files"][0]["path"]
    good = part.read_bytes()
    part.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    told = yield [load, other]
    assert [told[each.load_id]["status"] for each in (load, other)] == ["damaged", "applied"]
    assert part.name in told[load.load_id]["problems"][0]
    assert not (lake.tables / "bytes").exists() and load.load_id not in lake.ledger()
    part.unlink()
    told = yield [load]
    assert told[load.load_id]["status"] == "damaged"
    told = yield Ask([load], again=(load.load_id,))
    assert told[load.load_id]["status"] == "refused"
    part.write_bytes(good)
    told = yield [load]
    assert told[load.load_id]["status"] == "refused"
    told = yield Ask([load], again=(load.load_id,))
    assert (told[load.load_id]["status"], lake.rows("bytes", "Id")) == ("applied", [(1,)])


@seldom_on_spark
def a_manifest_that_is_not_the_one_sent_or_of_a_later_version_stops_no_other(lake: Lake) -> Scenario:
    load, later, other = (whole(lake, stream) for stream in ("changed_manifest", "later_version", "beside_manifests"))
    later.rewrite(version=2)

    def change() -> None:
        load.path.write_text(load.path.read_text().replace('"run"', '"ruN"'))

    told = yield Ask([load, later, other], meanwhile=change)
    assert [told[each.load_id]["status"] for each in (load, later, other)] == ["damaged", "damaged", "applied"]


@on(WITHOUT_LEDGER)
def without_a_ledger_an_incremental_load_is_refused_and_the_bookmark_goes_back(lake: Lake) -> Scenario:
    yield [incremental(lake, "lost", 0, None, "1", people((1, "a", 1)))]
    first = lake.published()["ledger"]
    next_one = incremental(lake, "lost", 1, "1", "2", people((2, "b", 2)))
    drop(lake, "_loads")
    told = yield [next_one]
    assert "the ledger holds nothing of this stream" in told[next_one.load_id]["problems"][0]
    assert lake.published()["bookmarks"] == {} and lake.published()["ledger"] != first
    yield [incremental(lake, "lost", 2, None, "2", people((1, "a", 1), (2, "b", 2)))]
    assert lake.rows("lost", "Id") == [(1,), (2,)]


@seldom_on_spark
@on(WITHOUT_LEDGER)
def an_append_into_a_table_that_the_ledger_does_not_know_is_refused(lake: Lake) -> Scenario:
    yield [incremental(lake, "unknown", 0, None, "1", people((1, "a", 1)), mode="append")]
    drop(lake, "_loads")
    load = incremental(lake, "unknown", 1, None, "2", people((1, "a", 1), (2, "b", 2)), mode="append")
    load.rewrite(mode="append")
    told = yield [load]
    assert "rows would be double" in told[load.load_id]["problems"][0] and lake.rows("unknown", "Id") == [(1,)]


def without_its_table_an_incremental_load_is_refused_and_the_bookmark_goes_back(lake: Lake) -> Scenario:
    yield [incremental(lake, "gone", 0, None, "1", people((1, "a", 1))), whole(lake, "beside_gone")]
    drop(lake, "gone")
    next_one = incremental(lake, "gone", 1, "1", "2", people((2, "b", 2)))
    told = yield [next_one]
    assert "gone or was made anew" in told[next_one.load_id]["problems"][0]
    assert bookmark(lake, "gone") is None and bookmark(lake, "beside_gone") == "0" and not (lake.tables / "gone").exists()
    yield [whole(lake, "beside_gone", 1)]
    assert bookmark(lake, "gone") is None and bookmark(lake, "beside_gone") == "1"
    yield [incremental(lake, "gone", 2, None, "2", people((1, "a", 1), (2, "b", 2)))]
    assert lake.rows("gone", "Id") == [(1,), (2,)] and bookmark(lake, "gone") == "2"


@seldom_on_spark
def no_rows_replace_rows_only_where_the_source_says_that_it_is_empty(lake: Lake) -> Scenario:
    yield [make_load(lake.stage, "empty", [people((1, "a", 1))])]
    silent = make_load(lake.stage, "empty", [], schema=people().schema, started=1, source_rows=None)
    told = yield [silent]
    assert "does not say that it is empty" in told[silent.load_id]["problems"][0] and lake.rows("empty", "Id") == [(1,)]
    yield [make_load(lake.stage, "empty", [], schema=people().schema, started=2)]
    assert lake.rows("empty", "Id") == []


def whole(lake: Lake, stream: str, started: int = 0, **more: Any) -> Made:
    """A load of a stream that is read whole."""
    return make_load(lake.stage, stream, [people((9, "z", 9))], started=started, **more)


def drop(lake: Lake, table: str) -> None:
    """Takes a table away, as its owner may."""
    shutil.rmtree(lake.tables / table, ignore_errors=True)


@seldom_on_spark
def a_table_has_one_stream_and_another_one_that_would_share_it_is_refused(lake: Lake) -> Scenario:
    """As of two SQL Servers with a dbo.Orders each: also where both come at once, and where one was there before."""
    first, other = whole(lake, "shared"), whole(lake, "Shared", source="erp", started=1)
    told = yield [first, other]
    assert [told[each.load_id]["status"] for each in (first, other)] == ["applied", "refused"]
    assert told[other.load_id]["problems"] == [
        "sqlserver/shared and erp/Shared would share one Delta table, shared, which has the rows of sqlserver/shared"
    ]
    assert "deselect one of the two streams" in told[other.load_id]["action"]
    later, merge = whole(lake, "Shared", source="erp", started=2), incremental(lake, "shared", 3, None, "1", people((5, "e", 1)))
    told = yield [later, merge]
    assert [told[each.load_id]["status"] for each in (later, merge)] == ["refused", "applied"]
    assert lake.rows("shared", "Id") == [(5,)]
    drop(lake, "shared")  # the exit, where the former stream is no more
    renamed = whole(lake, "Shared", source="erp", started=4)
    told = yield [renamed]
    assert (told[renamed.load_id]["status"], told[renamed.load_id]["equal"]) == ("applied", True)
    back = incremental(lake, "shared", 5, "1", "2", people((6, "f", 2)))
    told = yield [back]
    assert "erp/Shared and sqlserver/shared would share one Delta table" in told[back.load_id]["problems"][0]


@scenarios(__name__)
def test(play: tuple[str, Play], stories: Stories) -> None:
    stories.end(play[0], play[1].__name__)
