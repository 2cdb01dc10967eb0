"""What the job makes of loads that meet tables as they are: order, columns, keys, numbers; on Sail and on real Spark."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from clients_kit import DuckDB, active_files
from deltalake import DeltaTable
from engine_kit import Lake
from lakehouse_kit import Made, boundaries, make_load, plain
from story_kit import Play, Scenario, Stories, on, scenarios, seldom_on_spark


def table(**columns: Any) -> pa.Table:
    """Columns as Arrow arrays, or as Python lists."""
    return pa.table(columns)


def ints(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int32())


def load(
    lake: Lake,
    stream: str,
    started: int,
    data: pa.Table | list[pa.Table],
    cursor: tuple[str | None, str] | None = None,
    **more: Any,
) -> Made:
    """A load of a stream with the key Id; with a cursor from … to an incremental one, which is whole without `from`."""
    tables = data if isinstance(data, list) else [data]
    given: dict[str, Any] = {"started": started, "key_columns": ["Id"], "mode": "merge"}
    if cursor:
        given["cursor"] = {"column": "Changed", "from": cursor[0], "to": cursor[1]}
        given["bookmark"] = {"replication_key": "Changed", "replication_key_value": cursor[1]}
    if cursor is None or cursor[0] is None:
        given["mode"] = "overwrite"
    return make_load(lake.stage, stream, tables, **given | more)


def keyed(*rows: tuple[int, str, int]) -> pa.Table:
    ids, names, changed = zip(*rows, strict=True)
    return table(Id=ints(*ids), Name=list(names), Changed=pa.array(changed, pa.int64()))


def every_type_arrives_exactly(lake: Lake) -> Scenario:
    """The low end, the high end and NULL of each, read by two engines that wrote none of it."""
    data = boundaries()
    odd = make_load(lake.stage, "Sales-Ação & Odd", [data.slice(0, 2), data.slice(2)], table="sales_odd")
    told = yield [odd]
    assert (told[odd.load_id]["status"], told[odd.load_id]["delta_rows"]) == ("applied", 3), told[odd.load_id]
    found = DeltaTable(str(lake.tables / "sales_odd")).to_pyarrow_table().sort_by("Id")
    for name in data.column_names:
        assert plain(found.column(name.replace(" ", "_"))) == plain(data.column(name)), name
    assert (lake.ledger()[odd.load_id]["delta_version"] is None) == (lake.engine.kind == "sail")
    types = {field.name: str(field.type) for field in found.schema}
    assert types["money"] == "decimal128(19, 4)" and types["datetime2"] == "timestamp[us]"
    assert types["offset"] == "timestamp[us, tz=UTC]" and types["time_ns"] == "string"
    figures = ["count(*)", "sum(money)", "max(p38)", "max(time_ns)", 'sum(octet_length("binary"))', "min(datetime2)::VARCHAR"]
    expected = (3, Decimal("-0.0001"), Decimal("9" * 38), "23:59:59.9999999", 3, "0001-01-01 00:00:00")
    assert DuckDB().select(lake, "sales_odd", *figures) == [expected]
    told = yield [odd]
    assert told[odd.load_id]["status"] == "already"


@seldom_on_spark
@on("path", "spark")
def and_so_it_does_by_path(lake: Lake) -> Scenario:
    yield from every_type_arrives_exactly(lake)


@seldom_on_spark
def an_empty_load_makes_an_empty_table_with_its_columns(lake: Lake) -> Scenario:
    data = boundaries()
    yield [make_load(lake.stage, "None", [], schema=data.schema), make_load(lake.stage, "Zero-Rows", [data.slice(0, 0)])]
    for name in ("none", "zero_rows"):
        found = DeltaTable(str(lake.tables / name)).to_pyarrow_table()
        assert len(found) == 0 and found.column_names == [name.replace(" ", "_") for name in data.column_names]


def a_keyed_load_merges_and_of_one_key_the_last_row_wins(lake: Lake) -> Scenario:
    yield [load(lake, "keyed", 0, keyed((1, "a", 1), (2, "b", 1)), (None, "1"))]
    parts = [
        keyed((2, "late", 9), (3, "old", 4)).append_column("New", pa.array(["x", "y"])),
        keyed((2, "early", 5), (3, "tie", 6), (3, "win", 6)).append_column("New", pa.array(["p", "q", "r"])),
    ]
    change = load(lake, "keyed", 1, parts, ("1", "9"))
    told = yield [change]
    assert (told[change.load_id]["delta_rows"], told[change.load_id]["table_rows"]) == (2, 3), told[change.load_id]
    assert lake.rows("keyed", "Id", "Name", "Changed", "New") == [(1, "a", 1, None), (2, "late", 9, "x"), (3, "win", 6, "r")]


@on("path", "sail")
def an_append_starts_where_the_ledger_ends_however_a_time_is_spelled_or_is_refused(lake: Lake) -> Scenario:
    def append(started: int, start: str | None, end: str) -> Made:
        cursor = {"column": "Changed", "from": start, "to": end}
        data, bookmark = [keyed((started, "x", started))], {"replication_key_value": end}
        return make_load(lake.stage, "spelled", data, started=started, mode="append", cursor=cursor, bookmark=bookmark)

    first = append(1, None, "2026-01-01 00:00:00")
    yield [first, append(2, "2026-01-01T00:00:00.000000", "2026-01-02")]
    gap = append(3, "2026-01-01", "2026-01-03")
    told = yield [first, gap]
    assert [told[each.load_id]["status"] for each in (first, gap)] == ["already", "refused"]
    assert "starts at 2026-01-01, the ledger ends at 2026-01-02" in told[gap.load_id]["problems"][0]
    assert lake.rows("spelled", "Id") == [(1,), (2,)]


@on("path", "sail")
def times_with_an_offset_are_compared_as_moments(lake: Lake) -> Scenario:
    """A lookback of an hour before ten o'clock of São Paulo is twelve o'clock UTC, which is no later."""

    def merge(started: int, start: str | None, end: str) -> Made:
        cursor = {"column": "At", "from": start, "to": end}
        data = table(Id=ints(started), At=pa.array([datetime(2026, 1, 1, 13, started, tzinfo=UTC)], pa.timestamp("us", "UTC")))
        bookmark = {"replication_key": "At", "replication_key_value": end}
        mode = "overwrite" if start is None else "merge"
        return make_load(
            lake.stage, "moments", [data], started=started, mode=mode, key_columns=["Id"], cursor=cursor, bookmark=bookmark
        )

    first = merge(1, None, "2026-01-01 10:00:00.0000000 -03:00")
    second = merge(2, "2026-01-01T12:00:00.0000000+00:00", "2026-01-01 13:30:00.0000000 +00:00")
    gap = merge(3, "2026-01-01 11:00:00.0000000 -03:00", "2026-01-01 12:00:00.0000000 -03:00")
    told = yield [first, second, gap]
    assert [told[each.load_id]["status"] for each in (first, second, gap)] == ["applied", "applied", "refused"], told


@on("path", "sail")
def late_old_loads_are_needless_where_later_ones_cover_them_and_else_refused(lake: Lake) -> Scenario:
    def merge(stream: str, name: str, to: str | None, started: int) -> Made:
        cursor = {"column": "Changed", "from": None, "to": to} if to else None
        bookmark = {"replication_key_value": to} if to else None
        given = {"mode": "merge", "key_columns": ["Id"], "cursor": cursor, "bookmark": bookmark}
        return make_load(lake.stage, stream, [keyed((1, name, 3))], started=started, **given)

    yield [load(lake, "full", 5, keyed((2, "new", 2))), merge("covered", "new", "9", 5), merge("bare", "new", None, 5)]
    full, covered, bare = (
        load(lake, "full", 1, keyed((1, "old", 1))), merge("covered", "old", "3", 1), merge("bare", "old", None, 1)
    )  # fmt: skip
    told = yield [full, covered, bare]
    assert [told[each.load_id]["status"] for each in (full, covered, bare)] == ["superseded", "superseded", "refused"]
    assert "it comes after the later load" in told[bare.load_id]["problems"][0]
    assert f"entrypoint.sh drop {bare.load_id}" in told[bare.load_id]["action"]
    assert [lake.rows(table, "Name") for table in ("full", "covered", "bare")] == [[("new",)]] * 3
    assert {full.load_id, covered.load_id} <= set(lake.published()["committed"])


def of_doubles_the_last_row_counts_however_they_lie(lake: Lake) -> Scenario:
    """Row groups and parts must not matter: the parts carry the number of each row."""
    yield [load(lake, "doubles", 0, keyed((0, "", 0)), (None, "0"))]
    count = 4_000
    numbers = pa.array(range(count * 2), pa.int64())
    ids = pa.array([n % count for n in range(count * 2)], pa.int32())
    data = pa.table(
        {"Id": ids, "Name": [str(n) for n in range(count * 2)], "Changed": pa.array([1] * count * 2, pa.int64()), "_row": numbers}
    )
    parts = [data.slice(at, 100) for at in range(0, count * 2, 100)]
    made = numbered(lake, "doubles", 1, parts, ("0", "1"))
    told = yield [made]
    assert told[made.load_id]["status"] == "applied", told[made.load_id]
    assert sorted(lake.rows("doubles", "Id", "Name")) == [(n, str(n + count)) for n in range(count)]


def numbered(lake: Lake, stream: str, started: int, parts: list[pa.Table], cursor: tuple[str, str]) -> Made:
    """A load whose parts have a column `_row` that the manifest names as the rows' number."""
    made = load(lake, stream, started, parts, cursor)
    schema = [column for column in made.manifest["schema"] if column["name"] != "_row"]
    facts = {name: each for name, each in made.manifest["columns"].items() if name != "_row"}
    made.rewrite(schema=schema, columns=facts, row_number="_row")
    return made


@seldom_on_spark
def doubles_without_numbers_give_one_result_by_the_data(lake: Lake) -> Scenario:
    yield [load(lake, "ties", 0, keyed((0, "", 0)), (None, "0"))]
    made = load(lake, "ties", 1, [keyed((1, "x", 5), (2, "late", 9)), keyed((1, "y", 5), (2, "early", 7))], ("0", "9"))
    told = yield [made]
    assert told[made.load_id]["status"] == "applied"
    names = dict(lake.rows("ties", "Id", "Name"))
    assert names[2] == "late" and names[1] in ("x", "y")


@seldom_on_spark
def many_small_loads_of_a_stream_are_one_commit(lake: Lake) -> Scenario:
    first = load(lake, "many", 0, keyed((0, "", 0)), (None, "0"))
    steps = [load(lake, "many", n, keyed((n % 7, f"at {n}", n)), (str(n - 1), str(n))) for n in range(1, 21)]
    append: dict[str, Any] = {"mode": "append", "key_columns": []}
    log = [load(lake, "log", 0, keyed((0, "", 0)), (None, "0"), key_columns=[])]
    log += [load(lake, "log", n, keyed((n, "", n)), (str(n - 1), str(n)), **append) for n in range(1, 12)]
    told = yield [first, *steps, *log]
    assert {told[each.load_id]["status"] for each in [first, *steps, *log]} == {"applied"}
    assert sum(told[each.load_id]["delta_rows"] for each in steps) == 7
    assert lake.rows("many", "Id", "Name") == [(n % 7, f"at {n}") for n in sorted(range(14, 21), key=lambda n: n % 7)]
    assert lake.rows("log", "Id") == sorted([(n,) for n in range(12)], key=str)
    if lake.engine.kind == "spark":
        assert DeltaTable(str(lake.tables / "many")).version() <= 2
    assert len({row["delta_version"] for id_, row in lake.ledger().items() if id_ in {each.load_id for each in steps}}) == 1
    assert active_files(lake, "_loads") == 1, "it has grown enough to be written anew"


@seldom_on_spark
def one_bad_load_among_many_is_refused_alone(lake: Lake) -> Scenario:
    first = load(lake, "among", 0, keyed((1, "a", 0)), (None, "0"))
    bad = load(lake, "among", 2, table(Id=ints(None), Name=["x"], Changed=pa.array([2], pa.int64())), ("1", "2"))
    others = [load(lake, "among", n, keyed((n, "b", n)), (str(n - 1), str(n))) for n in (1, 3)]
    told = yield [first, others[0], bad, others[1]]
    assert [told[each.load_id]["status"] for each in (first, others[0], bad, others[1])] == [
        "applied",
        "applied",
        "refused",
        "refused",
    ]
    assert "1 rows have no value in key column Id" in told[bad.load_id]["problems"][0]
    assert "what lies between is missing" in told[others[1].load_id]["problems"][0]
    assert lake.rows("among", "Id") == [(1,)]


def keys_that_the_collation_makes_one_are_one_row(lake: Lake) -> Scenario:
    def people(*rows: tuple[str, str], started: int, cursor: tuple[str | None, str]) -> Made:
        data = table(
            Code=[row[0] for row in rows], Name=[row[1] for row in rows], Changed=pa.array([started] * len(rows), pa.int64())
        )
        made = load(lake, "collation", started, data, cursor, key_columns=["Code"])
        made.manifest["schema"][0]["collation"] = "SQL_Latin1_General_CP1_CI_AS"
        made.rewrite()
        return made

    yield [people(("abc", "old"), ("DEF ", "old"), ("straße", "old"), started=0, cursor=(None, "0"))]
    change = people(("ABC", "new"), ("def", "new"), started=1, cursor=("0", "1"))
    told = yield [change]
    assert (told[change.load_id]["status"], told[change.load_id]["delta_rows"]) == ("applied", 2)
    assert lake.rows("collation", "Code", "Name") == [("ABC", "new"), ("def", "new"), ("straße", "old")]
    doubtful = people(("STRASSE", "new"), started=2, cursor=("1", "2"))
    told = yield [doubtful]
    assert told[doubtful.load_id]["status"] == "refused"
    assert "keys 'STRASSE' and 'STRAßE' are two here" in told[doubtful.load_id]["problems"][0]
    assert "FULL_TABLE" in told[doubtful.load_id]["action"]


@seldom_on_spark
def binary_collations_tell_capitals_apart_and_no_blanks_at_the_end(lake: Lake) -> Scenario:
    def codes(started: int, cursor: tuple[str | None, str], *rows: str) -> Made:
        data = table(Code=list(rows), Changed=pa.array([started] * len(rows), pa.int64()))
        made = load(lake, "binary", started, data, cursor, key_columns=["Code"])
        made.manifest["schema"][0]["collation"] = "Latin1_General_BIN2"
        made.rewrite()
        return made

    yield [codes(0, (None, "0"), "abc", "é")]
    yield [codes(1, ("0", "1"), "ABC", "abc  ", "e")]
    assert lake.rows("binary", "Code") == [("ABC",), ("abc  ",), ("e",), ("é",)]


def columns_come_go_and_change_case(lake: Lake) -> Scenario:
    yield [
        load(
            lake,
            "columns",
            0,
            table(Id=ints(1, 2), Name=["a", "b"], Gone=["x", "y"], Changed=pa.array([0, 0], pa.int64())),
            (None, "0"),
        )
    ]
    data = table(Id=ints(2, 3), NAME=["B", "C"], Changed=pa.array([1, 1], pa.int64()), New=[7, 8])
    change = load(lake, "columns", 1, data, ("0", "1"))
    told = yield [change]
    assert told[change.load_id]["status"] == "applied", told[change.load_id]
    assert lake.rows("columns", "Id", "Name", "Gone", "New") == [(1, "a", "x", None), (2, "B", None, 7), (3, "C", None, 8)]


@seldom_on_spark
def an_append_without_a_column_of_before_leaves_it_null(lake: Lake) -> Scenario:
    def log(started: int, start: str | None, **more: Any) -> Made:
        data = table(Id=ints(started), Changed=pa.array([started], pa.int64()), **more)
        given = {"mode": "overwrite" if start is None else "append", "key_columns": []}
        return load(lake, "shorter", started, data, (start, str(started)), **given)

    yield [log(0, None, Gone=["x"])]
    yield [log(1, "0")]  # the source has it no more
    last = log(2, "1", New=["y"])  # nor did the load before
    told = yield [last]
    assert told[last.load_id]["status"] == "applied", told[last.load_id]
    assert lake.rows("shorter", "Id", "Gone", "New") == [(0, "x", None), (1, None, None), (2, None, "y")]


@seldom_on_spark
def a_column_that_the_owner_added_keeps_its_values(lake: Lake) -> Scenario:
    yield [load(lake, "owned", 0, keyed((1, "a", 0)), (None, "0"))]
    path = str(lake.tables / "owned")
    import deltalake

    rows = DeltaTable(path).to_pyarrow_table().append_column("Mine", pa.array(["kept"]))
    deltalake.write_deltalake(path, rows, mode="overwrite", schema_mode="overwrite")
    yield [load(lake, "owned", 1, keyed((1, "b", 1)), ("0", "1"))]
    assert lake.rows("owned", "Name", "Mine") == [("b", "kept")]


def types_widen_by_a_rewrite_that_every_reader_opens(lake: Lake) -> Scenario:
    def values(started: int, cursor: tuple[str | None, str], id_: int, value: pa.Array) -> Made:
        return load(lake, "wide", started, table(Id=ints(id_), Value=value, Changed=pa.array([started], pa.int64())), cursor)

    yield [values(0, (None, "0"), 1, ints(7))]
    yield [values(1, ("0", "1"), 2, pa.array([2**40], pa.int64()))]
    huge = values(2, ("1", "2"), 3, pa.array([Decimal("12345678901234567890.25")], pa.decimal128(24, 2)))
    told = yield [huge]
    assert told[huge.load_id]["status"] == "applied", told[huge.load_id]
    narrow = values(3, ("2", "3"), 4, ints(9))
    yield [narrow]
    expected = [(1, Decimal("7.00")), (2, Decimal(f"{2**40}.00")), (3, Decimal("12345678901234567890.25")), (4, Decimal("9.00"))]
    assert lake.rows("wide", "Id", "Value") == expected


@seldom_on_spark
def text_in_place_of_numbers_is_refused_with_its_exit(lake: Lake) -> Scenario:
    yield [load(lake, "kind", 0, keyed((1, "a", 0)), (None, "0"))]
    other = load(lake, "kind", 1, table(Id=ints(2), Name=ints(5), Changed=pa.array([1], pa.int64())), ("0", "1"))
    told = yield [other]
    assert (told[other.load_id]["status"], lake.rows("kind", "Name")) == ("refused", [("a",)])
    assert "entrypoint.sh refresh kind" in told[other.load_id]["action"]
    whole = load(lake, "kind", 2, table(Id=ints(1, 2), Name=ints(4, 5), Changed=pa.array([0, 1], pa.int64())), (None, "1"))
    yield [whole]
    assert lake.rows("kind", "Name") == [(4,), (5,)]


def columns_may_have_any_name(lake: Lake) -> Scenario:
    names = [
        "Id",
        "_file",
        "_row",
        "_rank",
        "_key0",
        "k0",
        "rank",
        "_load_id",
        "n",
        "f0",
        "group",
        "load_number",
        "row_number",
        "Changed",
    ]

    def odd(started: int, cursor: tuple[str | None, str], mode: str, *ids: int) -> Made:
        columns = {name: ints(*ids) for name in names} | {"Changed": pa.array([started] * len(ids), pa.int64())}
        return load(lake, f"names_{mode}", started, pa.table(columns), cursor, **({"mode": mode} if cursor[0] else {}),
                    key_columns=["Id", "_key0", "k0"] if mode == "merge" else [])  # fmt: skip

    yield [odd(0, (None, "0"), "merge", 1), odd(0, (None, "0"), "append", 1)]
    told = yield [odd(1, ("0", "1"), "merge", 1, 2, 2), odd(1, ("0", "1"), "append", 2, 2)]
    assert {each["status"] for each in told.values() if each["stream"].startswith("names_")} == {"applied"}
    assert lake.rows("names_merge", "Id", "_load_id", "f0") == [(1, 1, 1), (2, 2, 2)]
    assert lake.rows("names_append", "Id", "_load_id", "_row") == [(1, 1, 1), (2, 2, 2), (2, 2, 2)]


def nan_and_infinity_are_equal_to_themselves(lake: Lake) -> Scenario:
    values = [math.nan, math.inf, -math.inf, 1.5, None, math.nan]
    data = table(
        Id=ints(*range(6)),
        D=pa.array(values, pa.float64()),
        F=pa.array(values, pa.float32()),
        Changed=pa.array([0] * 6, pa.int64()),
    )
    only = table(Id=ints(7), D=pa.array([math.nan]), F=pa.array([math.nan], pa.float32()), Changed=pa.array([1], pa.int64()))
    whole, change = load(lake, "floats", 0, data, (None, "0")), load(lake, "floats", 1, only, ("0", "1"))
    told = yield [whole, change]
    assert [told[each.load_id]["status"] for each in (whole, change)] == ["applied", "applied"], told
    assert [str(row[0]) for row in sorted(lake.rows("floats", "D"), key=str)] == [
        "-inf",
        "1.5",
        "None",
        "inf",
        "nan",
        "nan",
        "nan",
    ]


def a_moment_without_zone_may_come_to_a_table_that_had_none(lake: Lake) -> Scenario:
    yield [load(lake, f"ntz_{mode}", 0, keyed((1, "a", 0)), (None, "0")) for mode in ("merge", "append", "overwrite")]
    moment = pa.array([datetime(2026, 1, 2, 3, 4, 5, 6)], pa.timestamp("us"))
    data = table(Id=ints(2), Name=["b"], Changed=pa.array([1], pa.int64()), At=moment)
    loads = [
        load(lake, "ntz_merge", 1, data, ("0", "1")),
        load(lake, "ntz_append", 1, data, ("0", "1"), mode="append", key_columns=[]),
        load(lake, "ntz_overwrite", 1, data, (None, "1")),
    ]
    told = yield loads
    assert [told[each.load_id]["status"] for each in loads] == ["applied"] * 3, [told[each.load_id]["problems"] for each in loads]
    for each in loads:
        assert (2, datetime(2026, 1, 2, 3, 4, 5, 6)) in lake.rows(each.manifest["table"], "Id", "At")


@seldom_on_spark
def a_backfill_leaves_the_bookmark_and_an_old_one_is_refused(lake: Lake) -> Scenario:
    yield [load(lake, "backfill", 0, keyed((1, "a", 5)), (None, "5"))]
    fill = load(
        lake,
        "backfill",
        2,
        keyed((9, "filled", 2)),
        ("1", "3"),
        bookmark={"replication_key": "Changed", "replication_key_value": "5"},
    )
    told = yield [fill]
    assert told[fill.load_id]["status"] == "applied"
    late = load(
        lake,
        "backfill",
        1,
        keyed((9, "older", 2)),
        ("1", "3"),
        bookmark={"replication_key": "Changed", "replication_key_value": "5"},
    )
    told = yield [late]
    assert told[late.load_id]["status"] == "refused", "no load but a backfill has the rows of its window"
    assert lake.rows("backfill", "Id", "Name") == [(1, "a"), (9, "filled")]
    assert lake.published()["bookmarks"]["sqlserver"]["backfill"]["replication_key_value"] == "5"
    yield [load(lake, "backfill", 3, keyed((2, "b", 6)), ("5", "6"))]
    assert lake.ledger()[late.load_id]["status"] == "refused", "the next load does not read that window"
    yield [load(lake, "backfill", 4, keyed((2, "b", 6)), (None, "6"))]
    assert lake.ledger()[late.load_id]["status"] == "superseded"


@seldom_on_spark
def behind_a_full_load_without_a_bookmark_nothing_is_appended(lake: Lake) -> Scenario:
    """As of a stream that is INCREMENTAL, then FULL_TABLE, then INCREMENTAL again: its older bookmark is not of this table."""
    more = {"key_columns": []}
    yield [load(lake, "turned", 0, keyed((1, "a", 1), (2, "b", 2)), (None, "2"), **more)]
    yield [load(lake, "turned", 1, keyed((1, "a", 1), (2, "b", 2), (3, "c", 3)), None, bookmark=None, **more)]
    assert "turned" not in lake.published()["bookmarks"].get("sqlserver", {})
    doubling = load(lake, "turned", 2, keyed((3, "c", 3), (4, "d", 4)), ("2", "4"), mode="append", **more)
    told = yield [doubling]
    assert told[doubling.load_id]["problems"] == ["it starts behind 2, and the ledger holds nothing of this stream up to there"]
    assert lake.rows("turned", "Id") == [(1,), (2,), (3,)]


@seldom_on_spark
def a_whole_load_without_a_bookmark_leaves_none_and_nothing_goes_on_at_an_older_one(lake: Lake) -> Scenario:
    """As of a stream that was incremental, is FULL_TABLE, and is incremental again."""
    stream = "dbo-In between"

    def one(started: int, cursor: tuple[str | None, str] | None, **more: Any) -> Made:
        return load(lake, stream, started, keyed((1, "a", 5)), cursor, table="in_between", **more)

    yield [one(0, (None, "5")), load(lake, "beside", 0, keyed((1, "a", 5)), (None, "5"))]
    yield [one(1, None, bookmark=None)]
    assert {stream, "beside"} & set(lake.published()["bookmarks"]["sqlserver"]) == {"beside"}
    append = one(2, ("5", "6"), mode="append", key_columns=[])
    told = yield [append]
    assert told[append.load_id]["status"] == "refused"
    assert "entrypoint.sh refresh 'dbo-In between' reads the stream whole" in told[append.load_id]["action"]
    both = [one(3, None, bookmark=None), one(4, ("5", "6"), mode="append", key_columns=[])]
    told = yield both
    assert told[both[1].load_id]["status"] == "refused", "nor of one order"


@scenarios(__name__, spark="name")
def test(play: tuple[str, Play], stories: Stories) -> None:
    stories.end(play[0], play[1].__name__)
