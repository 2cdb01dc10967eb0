"""Loads of changes: rows that came or changed are merged, rows that the source deleted go or are marked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from engine_kit import Lake
from lakehouse_kit import Made, add_deletes, make_load
from story_kit import Play, Scenario, Stories, on, scenarios

SCHEMA = pa.schema([pa.field("Id", pa.int32(), False), pa.field("At", pa.time64("us"), False), pa.field("Name", pa.string())])
KEYS = ["Id", "At"]
NINE = 9 * 3600 * 10**6


def rows(names: dict[int, str | None]) -> pa.Table:
    ids, at = list(names), [NINE] * len(names)
    return pa.table({"Id": ids, "At": pa.array(at, pa.time64("us")), "Name": list(names.values())}, SCHEMA)


def load(
    lake: Lake, stream: str, minute: int, to: int, there: dict[int, str | None], gone: Iterable[int] = (), **more: Any
) -> Made:
    """A load of the changes up to a version; from the version of the minute's load before, unless `start` says otherwise."""
    start = more.pop("start", None)
    mode = "overwrite" if start is None else "merge"
    given: dict[str, Any] = {
        "mode": mode,
        "key_columns": KEYS,
        "cursor": {"column": None, "from": None if start is None else str(start), "to": str(to)},
        "bookmark": {"change_version": to},
        "started": minute,
    }
    made = make_load(lake.stage, stream, [rows(there)], schema=SCHEMA, **given | more)
    keys = list(gone)
    if keys:
        add_deletes(made, pa.table({"Id": pa.array(keys, pa.int32()), "At": pa.array([NINE] * len(keys), pa.time64("us"))}))
    return made


def held(lake: Lake, stream: str) -> dict[int, str]:
    return {row[0]: row[1] for row in lake.rows(stream.lower(), "Id", "Name")}


def deleted_rows_go_and_changed_rows_are_as_at_the_source(lake: Lake) -> Scenario:
    first = load(lake, "Apply", 0, 10, {1: "a", 2: "b", 3: "c"})
    told = yield [first]
    assert told[first.load_id]["status"] == "applied", told
    second = load(lake, "Apply", 1, 14, {2: "B", 4: None}, [1, 77], start=10, snapshot_rows=3)
    told = yield [second]
    assert (
        told[second.load_id] | {"status": "applied", "rows": 2, "delta_rows": 2, "deletes": 2, "table_rows": 3}
        == told[second.load_id]
    )
    assert held(lake, "Apply") == {2: "B", 3: "c", 4: None}
    only_deletes = load(lake, "Apply", 2, 15, {}, [2, 3], start=14)
    told = yield [only_deletes]
    assert (told[only_deletes.load_id]["status"], held(lake, "Apply")) == ("applied", {4: None})


@on("path", "sail")
def loads_that_wait_are_applied_together_and_the_last_word_counts(lake: Lake) -> Scenario:
    loads = [
        load(lake, "Together", 0, 1, {1: "a", 2: "b"}),
        load(lake, "Together", 1, 2, {3: "c"}, [1], start=1),
        load(lake, "Together", 2, 3, {1: "again"}, [2, 3], start=2),
        load(lake, "Together", 3, 4, {3: "C"}, start=3, snapshot_rows=2),
    ]
    told = yield loads
    assert [told[each.load_id]["status"] for each in loads] == ["applied"] * 4, told
    assert held(lake, "Together") == {1: "again", 3: "C"}


def marked_rows_stay_with_the_time_of_their_load_until_they_come_again(lake: Lake) -> Scenario:
    first = load(lake, "Mark", 0, 1, {1: "a", 2: "b", 3: "c"}, on_delete="mark")
    yield [first]
    second = load(lake, "Mark", 1, 2, {}, [1, 2], start=1, on_delete="mark", snapshot_rows=1)
    told = yield [second]
    assert told[second.load_id]["status"] == "applied", told
    at = datetime(2026, 11, 24, 16, 1, tzinfo=UTC)
    assert lake.rows("mark", "Id", "Name", "_deleted_at") == [(1, "a", at), (2, "b", at), (3, "c", None)]
    third = load(lake, "Mark", 2, 3, {2: "back"}, [1], start=2, on_delete="mark", snapshot_rows=2)
    told = yield [third]
    assert told[third.load_id]["status"] == "applied", told
    assert lake.rows("mark", "Id", "Name", "_deleted_at") == [(1, "a", at), (2, "back", None), (3, "c", None)]


def columns_come_go_and_grow_beside_rows_that_are_marked(lake: Lake) -> Scenario:
    """Of a table with a time and with columns that the parts call NOT NULL."""
    yield [load(lake, "Shape", 0, 1, {1: "a", 2: "b", 3: "c"}, on_delete="mark")]
    yield [load(lake, "Shape", 1, 2, {4: "d"}, [1], start=1, on_delete="mark", snapshot_rows=3)]
    schema = pa.schema([pa.field("Id", pa.int64(), False), pa.field("At", pa.time64("us"), False), pa.field("New", pa.string())])
    data = pa.table({"Id": [5, 2], "At": pa.array([NINE] * 2, pa.time64("us")), "New": ["x", "y"]}, schema)
    given: dict[str, Any] = {"schema": schema, "mode": "merge", "key_columns": KEYS, "on_delete": "mark"}
    cursor, bookmark = {"column": None, "from": "2", "to": "3"}, {"change_version": 3}
    other = make_load(lake.stage, "Shape", [data], started=2, cursor=cursor, bookmark=bookmark, snapshot_rows=3, **given)
    add_deletes(other, pa.table({"Id": pa.array([3], pa.int64()), "At": pa.array([NINE], pa.time64("us"))}))
    told = yield [other]
    assert told[other.load_id]["status"] == "applied", told[other.load_id]
    one, three = (datetime(2026, 11, 24, 16, minute, tzinfo=UTC) for minute in (1, 2))
    assert lake.rows("shape", "Id", "Name", "New", "_deleted_at") == [
        (1, "a", None, one), (2, None, "y", None), (3, "c", None, three), (4, "d", None, None), (5, None, "x", None),
    ]  # fmt: skip


@on("path", "sail")
def a_table_that_has_not_as_many_rows_as_the_source_is_told_and_a_whole_read_settles_it(lake: Lake) -> Scenario:
    first = load(lake, "Count", 0, 1, {1: "a", 2: "b"})
    yield [first]
    wrong = load(lake, "Count", 1, 2, {3: "c"}, start=1, snapshot_rows=2)
    told = yield [wrong]
    assert told[wrong.load_id]["problems"] == ["2 rows in the source's table, 3 in Delta's"]
    assert (told[wrong.load_id]["status"], told[wrong.load_id]["equal"]) == ("failed", False)
    whole = load(lake, "Count", 2, 3, {1: "a", 3: "c"})
    told = yield [wrong, whole]
    assert [told[each.load_id]["status"] for each in (wrong, whole)] == ["superseded", "applied"]


@on("path", "sail")
def a_gap_between_versions_and_a_stream_that_was_read_by_a_column_are_refused(lake: Lake) -> Scenario:
    first = load(lake, "Gap", 0, 1, {1: "a"})
    by_column = load(lake, "Column", 0, 1, {1: "a"}, bookmark={"replication_key": "Id", "replication_key_value": "1"},
                     cursor={"column": "Id", "from": None, "to": "1"})  # fmt: skip
    yield [first, by_column]
    late = load(lake, "Gap", 1, 12, {2: "b"}, start=9)
    other = load(lake, "Column", 1, 12, {2: "b"}, start=9)
    told = yield [late, other]
    assert "it starts behind 9, the ledger ends at 1" in told[late.load_id]["problems"][0]
    assert "it is read by the source's change tracking, and the ledger's bookmark is of Id" in told[other.load_id]["problems"][0]
    covers = load(lake, "Gap", 2, 13, {2: "b", 3: "c"}, start=1)
    told = yield [covers]
    assert told[covers.load_id]["status"] == "applied"
    assert lake.ledger()[late.load_id]["status"] == "superseded"


@on("path", "sail")
def deletes_that_are_not_as_many_as_the_source_counted_are_refused(lake: Lake) -> Scenario:
    first = load(lake, "Short", 0, 1, {1: "a", 2: "b"})
    yield [first]
    short = load(lake, "Short", 1, 2, {}, [1], start=1)
    short.rewrite(source_deletes=2)
    told = yield [short]
    assert (told[short.load_id]["status"], told[short.load_id]["problems"]) == (
        "refused", ["2 rows deleted at the source, 1 in the manifest"],
    )  # fmt: skip
    assert held(lake, "Short") == {1: "a", 2: "b"}


@on("path", "sail")  # on Spark the crash matrix has such a stream
def changes_applied_once_more_change_nothing(lake: Lake) -> Scenario:
    """As where a job dies between the MERGE and the ledger: the load is there, and the ledger does not know it."""
    first = load(lake, "Twice", 0, 1, {1: "a", 2: "b"}, on_delete="mark")
    yield [first]
    second = load(lake, "Twice", 1, 2, {3: "c"}, [1], start=1, on_delete="mark")
    yield [second]
    before = lake.rows("twice")
    DeltaTable(str(lake.tables / "_loads")).delete(f"load_id = '{second.load_id}'")
    told = yield [second]
    assert told[second.load_id]["status"] == "applied", told
    assert lake.rows("twice") == before
    assert [row[0] for row in before] == [1, 2, 3]


@scenarios(__name__, spark="name")
def test(play: tuple[str, Play], stories: Stories) -> None:
    stories.end(play[0], play[1].__name__)
