"""Figures of key ranges, and their repair: what differs in Delta is replaced, and nothing else; on Sail and on real Spark."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from engine_kit import Lake
from lakehouse_kit import Made, fits, make_load
from story_kit import Play, Scenario, Stories, on, scenarios, seldom_on_spark

KEY = {"column": "Id", "type": "int32"}
NAME = {"name": "Name", "column": "Name", "type": "string", "figures": ["non_null", "hash"]}
ID = {"name": "Id", "column": "Id", "type": "int32", "figures": ["non_null", "sum", "min", "max"]}


def people(*rows: tuple[int | None, str | None]) -> pa.Table:
    return pa.table({"Id": pa.array([i for i, _ in rows], pa.int32()), "Name": pa.array([n for _, n in rows], pa.string())})


def whole(lake: Lake, stream: str, table: pa.Table, **more: Any) -> Made:
    """A load of a keyed stream that is read whole."""
    return make_load(lake.stage, stream, [table], **{"key_columns": ["Id"]} | more)


def repair(lake: Lake, stream: str, started: int, table: pa.Table, *ranges: tuple[str | None, str | None], **more: Any) -> Made:
    told = [{"lower": lower, "upper": upper} for lower, upper in ranges]
    return whole(lake, stream, table, started=started, **{"mode": "repair", "ranges": told, "bookmark": None} | more)


def figures(lake: Lake, *tables: dict[str, Any]) -> dict[str, Any]:
    """What the job publishes of tables in Delta."""
    order = json.dumps({"target": lake.target, "at": len(list(lake.stage.iterdir())), "tables": tables}).encode()
    digest = hashlib.sha256(order).hexdigest()
    (lake.stage / "figures.json").write_bytes(order)
    where = ["--stage", str(lake.stage), "--target", lake.target, "--order", "figures.json", "--order-sha256", digest]
    code, printed = lake.engine.run([*where, "--figures"])
    assert code == 0, printed[-3000:]
    [file] = [each for each in (lake.stage / "_figures").glob(f"*-{digest[:12]}/[!._]*") if each.stat().st_size]
    return fits("delta-figures", json.loads(file.read_text()))


def hashed(*texts: str) -> str:
    return str(sum(int.from_bytes(hashlib.sha256(each.encode("utf-16-le")).digest()[:6], "big") for each in texts))


def figures_are_told_range_by_range_and_nothing_is_written(lake: Lake) -> Scenario:
    yield [whole(lake, "told", people((None, "n"), (1, "a"), (2, "é😀"), (5, None), (9, "z")), key_columns=[])]
    before = lake.published()
    asked = {"stream": "told", "table": "told", "key": KEY, "bounds": ["2", "4", "5"], "columns": [ID, NAME]}
    told = figures(lake, asked, asked | {"table": "nobody"}, asked | {"columns": [ID, ID | {"column": "Gone"}]})
    first, *others = told["tables"]
    assert [each["rows"] for each in first["ranges"]] == [3, 0, 1, 1] and first["problem"] == ""
    assert first["ranges"][0]["columns"] == {
        "Id": {"non_null": "2", "sum": "3", "min": "1", "max": "2"},
        "Name": {"non_null": "3", "hash": hashed("n", "a", "é😀")},
    }
    assert first["ranges"][1]["columns"]["Id"] == {"non_null": "0", "sum": "0", "min": None, "max": None}
    assert first["ranges"][2]["columns"]["Name"] == {"non_null": "0", "hash": "0"}
    assert [each["problem"] for each in others] == ["there is no table nobody", "the table has no column Gone"]
    assert lake.published() == before and not list(lake.tables.glob("_figures"))


def a_repair_replaces_its_ranges_and_leaves_bookmark_and_other_rows(lake: Lake) -> Scenario:
    mark = {"replication_key": "Id", "replication_key_value": "9", "again": "0" * 64}
    yield [whole(lake, "repaired", people((1, "a"), (2, "b"), (5, "e"), (9, "z")), bookmark=mark)]
    table = DeltaTable(str(lake.tables / "repaired"))
    table.update(updates={"Name": "'wrong'"}, predicate="Id = 2 OR Id = 5")
    table.delete("Id = 1")
    load = repair(lake, "repaired", 1, people((1, "a"), (2, "b")), (None, "4"))
    yield [load]
    assert lake.rows("repaired", "Id", "Name") == [(1, "a"), (2, "b"), (5, "wrong"), (9, "z")]
    kept = lake.published()["bookmarks"]["sqlserver"]["repaired"]
    assert kept == {name: value for name, value in mark.items() if name != "again"}, "what came again may be repaired"
    assert (lake.ledger()[load.load_id]["delta_rows"], lake.ledger()[load.load_id]["bookmark"]) == (2, None)
    gone = repair(lake, "repaired", 2, people(), ("4", "8"), ("8", None))
    yield [gone]
    assert lake.rows("repaired", "Id", "Name") == [(1, "a"), (2, "b")]
    told = yield [load, gone]
    assert told[gone.load_id]["status"] == "already"


@seldom_on_spark
def a_repair_keeps_what_the_tables_owner_added_to_it(lake: Lake) -> Scenario:
    yield [whole(lake, "remarks", people((1, "a"), (2, "b")))]
    more = people((3, "c")).append_column("Remark", pa.array(["mine"]))
    write_deltalake(str(lake.tables / "remarks"), more, mode="append", schema_mode="merge")
    yield [repair(lake, "remarks", 1, people((1, "A"), (3, "C")), (None, None))]
    assert lake.rows("remarks", "Id", "Name", "Remark") == [(1, "A", None), (3, "C", "mine")]


@seldom_on_spark
def and_finds_it_by_the_key_as_the_source_compares_it(lake: Lake) -> Scenario:
    def named(started: int, names: list[str], **more: Any) -> Made:
        table = pa.table({"Name": names, "Value": [name.lower().strip() for name in names]})
        load = whole(lake, "cased", table, started=started, **{"key_columns": ["Name"]} | more)
        load.rewrite(schema=[each | {"collation": "Latin1_General_CI_AS"} for each in load.manifest["schema"]])
        return load

    yield [named(0, ["one"])]
    more = pa.table({"Name": ["two ", "three"], "Value": ["two", "three"], "Remark": ["mine", "too"]})
    write_deltalake(str(lake.tables / "cased"), more, mode="append", schema_mode="merge")
    every = {"mode": "repair", "ranges": [{"lower": None, "upper": None}], "bookmark": None}
    yield [named(1, ["ONE", "two", "Three"], **every)]
    assert lake.rows("cased", "Name", "Remark") == [("ONE", None), ("Three", "too"), ("two", "mine")]


def rows_marked_as_deleted_count_for_nothing_and_a_repair_brings_back_what_is_there(lake: Lake) -> Scenario:
    yield [whole(lake, "marked", people((1, "a"), (2, "b")), on_delete="mark")]
    table = DeltaTable(str(lake.tables / "marked"))
    table.update(updates={"_deleted_at": "TIMESTAMP '2026-11-24 16:00:00Z'"}, predicate="Id = 2")
    asked = {"stream": "marked", "table": "marked", "key": None, "bounds": [], "columns": [ID], "on_delete": "mark"}
    told = figures(lake, asked, asked | {"on_delete": "apply"})
    assert [each["ranges"][0]["rows"] for each in told["tables"]] == [1, 2]
    yield [repair(lake, "marked", 1, people((1, "a"), (2, "back")), (None, None), on_delete="mark")]
    assert lake.rows("marked", "Id", "Name", "_deleted_at") == [(1, "a", None), (2, "back", None)]


def ranges_of_moments_days_and_decimals_are_cut_alike(lake: Lake) -> Scenario:
    """Small letters, since Sail looks for no others when it overwrites by name."""
    moments = [datetime(2026, 1, day, 0, 0, 0, 3000) for day in (1, 2, 3)]
    kinds = {"at": pa.timestamp("us"), "day": pa.date32(), "total": pa.decimal128(9, 2)}
    values = {
        "at": moments,
        "day": [each.date() for each in moments],
        "total": [Decimal("0.01"), Decimal("0.02"), Decimal("0.03")],
    }
    table = pa.table({name: pa.array(values[name], kind) for name, kind in kinds.items()})
    yield [whole(lake, "times", table, key_columns=["at"])]
    bounds = {"at": "2026-01-02T00:00:00.003", "day": "2026-01-02", "total": "0.02"}
    rows = [{"name": "day", "column": "day", "type": "date32[day]", "figures": ["non_null"]}]
    asked = {"stream": "times", "table": "times", "columns": rows}
    keys = [asked | {"key": {"column": n, "type": str(kinds[n])}, "bounds": [bound]} for n, bound in bounds.items()]
    told = figures(lake, *keys)["tables"]
    assert [[each["rows"] for each in one["ranges"]] for one in told] == [[2, 1]] * 3, told
    yield [repair(lake, "times", 1, table.slice(0, 1), (None, bounds["at"]), key_columns=["at"])]
    [told] = figures(lake, keys[0])["tables"]
    assert [each["rows"] for each in told["ranges"]] == [1, 1]


@seldom_on_spark
@on("name")
def and_so_they_are_by_name(lake: Lake) -> Scenario:
    yield from ranges_of_moments_days_and_decimals_are_cut_alike(lake)


@seldom_on_spark
def a_repair_that_is_older_than_an_applied_load_or_of_an_unknown_stream_is_refused(lake: Lake) -> Scenario:
    early = repair(lake, "older", 1, people((1, "old")), (None, None))
    told = yield [early]
    assert "the ledger holds nothing of this stream" in told[early.load_id]["problems"][0]
    cursor = {"column": "Id", "from": None, "to": "9"}
    merge = whole(lake, "older", people((1, "new")), started=9, mode="merge", cursor=cursor, bookmark={})
    yield [whole(lake, "older", people((1, "a")), started=2), merge]
    late = repair(lake, "older", 5, people((1, "old")), (None, None))
    told = yield [late]
    assert (told[late.load_id]["status"], lake.rows("older", "Name")) == ("refused", [("new",)])
    assert "entrypoint.sh repair older reads them anew" in told[late.load_id]["action"]
    yield [repair(lake, "older", 10, people((1, "newer")), (None, None))]
    assert (lake.ledger()[late.load_id]["status"], lake.rows("older", "Name")) == ("superseded", [("newer",)])


@scenarios(__name__)
def test(play: tuple[str, Play], stories: Stories) -> None:
    stories.end(play[0], play[1].__name__)
