"""Incremental streams: what is new, once, by any ordered column; the bookmark is exact text of the column's own precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import Ran, Tap, execute, good, same, select

from sandbox.launch import Counterpart, counterpart
from singer_arrow import again
from tap_mssql.accept import incremental

# declared type → three values that grow, the first two in the first load; as SQL literals
CURSORS = incremental.CURSORS | {
    "tinyint": ("0", "254", "255"),
    "decimal(18,4)": ("-0.0001", "0.0000", "0.0001"),
    "time(7)": ("'00:00:00'", "'12:00:00.1234567'", "'12:00:00.1234568'"),
    "datetime2(3)": ("'0001-01-01T00:00:00.001'", "'2024-01-01T00:00:00.123'", "'2024-01-01T00:00:00.124'"),
    "nvarchar(20)": ("N'ação'", "N'b'", "N'zebra'"),
    "varchar(20)": ("'a'", "'O''Brien'", "'z'"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with counterpart("sqlserver", tmp_path_factory.mktemp("incremental"), "--scale", "0.001") as running:
        yield running


@pytest.fixture
def tap(server: Counterpart, tmp_path: Path) -> Tap:
    return Tap(server, tmp_path)


def ids(ran: Ran, stream: str) -> list[int]:
    return sorted(ran.rows.get(stream, ()))


def position(ran: Ran, stream: str) -> str:
    return str(ran.state["bookmarks"][stream]["replication_key_value"])


def options(name: str, **more: Any) -> dict[str, Any]:
    return {"streams": [f"dbo.{name}"], "stream_options": {f"dbo.{name}": {"replication_key": "c", **more}}}


def names() -> dict[str, tuple[str, bool]]:
    """A table per type of replication key, with an index on it, and some without."""
    scanned = ("decimal(18,4)", "date", "datetimeoffset(7)", "varchar(20)")
    return {
        f"By{n}{'Indexed' if x else 'Scanned'}": (d, x) for n, d in enumerate(CURSORS) for x in (True, False) if x or d in scanned
    }


@pytest.fixture(scope="module")
def loads(server: Counterpart, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran, Ran]:
    """A first load of all those tables, one with nothing new, and one with a new row."""
    tap = Tap(server, tmp_path_factory.mktemp("loads"))
    settings = {"streams": ["dbo.By*"], "stream_options": {"dbo.By*": {"replication_key": "c"}}}
    for name, (declared, indexed) in names().items():
        first, second, _ = CURSORS[declared]
        execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c {declared} NULL)")
        if indexed:
            execute(server, f"CREATE INDEX ix ON dbo.{name} (c)")
        execute(server, f"INSERT INTO dbo.{name} VALUES (1, {first}), (2, {second}), (3, NULL)")
    one = good(tap.read(range_rows=1, **settings))
    first = {(d["mode"], d["cursor"]["from"]) for d in (one.document(f"dbo-{name}") for name in names())}
    assert first == {("overwrite", None)}, "the first load of an incremental stream replaces its table"
    two = good(tap.read(one.state, **settings))
    for name, (declared, _) in names().items():
        execute(server, f"INSERT INTO dbo.{name} VALUES (4, {CURSORS[declared][2]}), (5, NULL)")
    return one, two, good(tap.read(one.state, **settings))


@pytest.mark.parametrize("name", names())
def test_a_second_load_reads_from_the_bookmark_on_and_what_has_no_value(
    name: str, server: Counterpart, loads: tuple[Ran, Ran, Ran]
) -> None:
    (declared, _), stream = names()[name], f"dbo-{name}"
    one, two, three = loads
    assert one.rows[stream] == {1, 2, 3}
    assert stream not in two.streams, "the row with the bookmark's value and the one without any are as they were: no load"
    assert three.rows[stream] == {2, 3, 4, 5}
    document = three.document(stream)
    assert (document["mode"], document["key_columns"], document["source_rows"]) == ("merge", ["id"], 4)
    assert document["cursor"]["from"] == one.state["bookmarks"][stream]["replication_key_value"]
    to = document["cursor"]["to"].replace("'", "''")
    assert rows_of(server, f"SELECT id FROM dbo.{name} WHERE c = CAST(N'{to}' AS {declared})") == [(4,)]


def rows_of(server: Counterpart, sql: str) -> list[tuple[Any, ...]]:
    table = select(server, sql)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_rowversion_takes_what_was_updated_and_nothing_of_open_transactions(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Versions (id int NOT NULL PRIMARY KEY, t int NULL, c rowversion)")
    execute(server, "INSERT INTO dbo.Versions (id, t) VALUES (1, 1), (2, 2)")
    one = good(tap.read(**options("Versions")))
    assert ids(one, "dbo-Versions") == [1, 2]
    execute(server, "UPDATE dbo.Versions SET t = 3 WHERE id = 1", "INSERT INTO dbo.Versions (id, t) VALUES (3, 3)")
    two = good(tap.read(one.state, **options("Versions")))
    assert ids(two, "dbo-Versions") == [1, 3]
    assert good(tap.read(two.state, **options("Versions"))).streams == set()
    assert two.state["bookmarks"]["dbo-Versions"]["replication_key_value"].startswith("0x")


def test_lookback_reads_a_window_again_and_only_that(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Late (id int NOT NULL PRIMARY KEY, c datetime2(3) NOT NULL)")
    execute(server, "INSERT INTO dbo.Late VALUES (1, '2024-01-01T00:00:00'), (2, '2024-01-01T01:00:00')")
    one = good(tap.read(**options("Late")))
    execute(server, "INSERT INTO dbo.Late VALUES (3, '2024-01-01T00:59:00'), (4, '2024-01-01T00:10:00')")  # committed late
    two = good(tap.read(one.state, **options("Late", lookback=600)))
    assert ids(two, "dbo-Late") == [2, 3]
    assert position(two, "dbo-Late") == position(one, "dbo-Late")
    assert good(tap.read(two.state, **options("Late", lookback=600))).streams == set(), "the same window, row by row"
    execute(server, "UPDATE dbo.Late SET c = '2024-01-01T00:58:00' WHERE id = 3")
    assert ids(good(tap.read(two.state, **options("Late", lookback=600))), "dbo-Late") == [2, 3]


LOOKED_BACK = {  # declared type → values of three rows, the last one is the bookmark; a lookback that reaches the second
    "tinyint": (("1", "7", "9"), 2),
    "smallint": (("-32768", "-9", "0"), 9),
    "int": (("-2147483648", "2147483640", "2147483647"), 7),
    "bigint": (("-9223372036854775808", "9223372036854775800", "9223372036854775807"), 7),
    "decimal(38,0)": (("1", "99999999999999999999999999999999999990", "99999999999999999999999999999999999999"), 9),
    "decimal(9,2)": (("-9999999.99", "1.50", "4.50"), 3),
    "money": (("-1.0000", "1.5000", "4.5000"), 3),
    "float": (("-1.5", "0.25", "4.25"), 4),
    "date": (("'2023-12-01'", "'2023-12-31'", "'2024-01-02'"), 2 * 86_400),
    "time(3)": (("'00:00:00.001'", "'01:00:00'", "'02:00:00'"), 3_600),
    "datetime": (("'1753-01-01T00:00:00'", "'2024-01-01T00:00:00.003'", "'2024-01-01T00:10:00.003'"), 600),
    "smalldatetime": (("'1900-01-01T00:00:00'", "'2024-01-01T00:00:00'", "'2024-01-01T00:10:00'"), 600),
    "datetime2(7)": (("'0001-01-01'", "'2024-01-01T00:00:00.0000001'", "'2024-01-01T00:10:00.0000001'"), 600),
    "datetimeoffset(7)": (("'2024-01-01T06:59:00+07:00'", "'2024-01-01T00:00:00+00:00'", "'2024-01-01T05:40:00+05:30'"), 600),
}


WITHIN_REACH = {"tinyint", "smallint", "decimal(9,2)", "money", "float", "time(3)", "date", "datetimeoffset(7)"}  # of 2**31 - 1


@pytest.mark.parametrize("declared", LOOKED_BACK)
def test_a_lookback_is_subtracted_from_each_type_and_reads_all_where_it_is_more_than_there_is(
    declared: str, server: Counterpart, tap: Tap
) -> None:
    values, lookback = LOOKED_BACK[declared]
    name = f"Back{list(LOOKED_BACK).index(declared)}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c {declared} NOT NULL)")
    execute(server, f"INSERT INTO dbo.{name} VALUES " + ", ".join(f"({n}, {value})" for n, value in enumerate(values, 1)))
    one = good(tap.read(**options(name)))
    assert ids(one, f"dbo-{name}") == [1, 2, 3]
    assert ids(good(tap.read(one.state, **options(name, lookback=lookback))), f"dbo-{name}") == [2, 3]
    longest = 2**31 - 1
    far = good(tap.read(one.state, **options(name, lookback=longest)))
    assert ids(far, f"dbo-{name}") == ([1, 2, 3] if declared in WITHIN_REACH else [2, 3])


def test_a_backfill_reads_its_window_and_leaves_the_bookmark(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Back (id int NOT NULL PRIMARY KEY, c date NOT NULL)")
    execute(server, "INSERT INTO dbo.Back VALUES " + ", ".join(f"({n}, '2024-01-{n:02d}')" for n in range(1, 10)))
    one = good(tap.read(**options("Back")))
    back = good(tap.read(one.state, **options("Back", start_value="2024-01-03", end_value="2024-01-05")))
    assert ids(back, "dbo-Back") == [3, 4, 5]
    assert position(back, "dbo-Back") == position(one, "dbo-Back")
    assert ids(good(tap.read(back.state, **options("Back"))), "dbo-Back") == [9], "a backfill may have read it otherwise"
    assert back.document("dbo-Back")["mode"] == "merge"
    alone = good(tap.read(**options("Back", start_value="2024-01-03")))
    assert alone.document("dbo-Back")["mode"] == "overwrite", "without a bookmark there is nothing to add to"


def test_without_a_key_rows_are_never_read_twice(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Log (id int NOT NULL, c datetime NOT NULL)", "INSERT INTO dbo.Log VALUES (1, '2024-01-01')")
    one = good(tap.read(**options("Log")))
    assert one.document("dbo-Log")["mode"] == "overwrite"
    execute(server, "INSERT INTO dbo.Log VALUES (2, '2024-01-02')")
    assert good(tap.read(one.state, **options("Log"))).document("dbo-Log")["mode"] == "append"
    refused = tap.read(one.state, **options("Log", lookback=60))
    assert refused.code == 2 and "lookback reads rows again" in refused.said and "key" in refused.said
    assert "Traceback" not in refused.said


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["keyed", "keyless"])
def test_another_replication_key_reads_the_stream_whole_once_and_says_so(key: str, server: Counterpart, tap: Tap) -> None:
    name = f"Rekeyed{bool(key):d}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL {key}, c int NOT NULL, d int NOT NULL)")
    execute(server, f"INSERT INTO dbo.{name} VALUES (1, 9, 1), (2, 5, 2)")
    one = good(tap.read(**options(name)))
    changed = options(name)
    changed["stream_options"][f"dbo.{name}"]["replication_key"] = "d"
    told = "the replication key was c and is d: this load reads the stream whole"
    steps, _ = tap.steps(one.state, **changed)
    assert steps[f"dbo-{name}"]["mode"] == "overwrite" and told in steps[f"dbo-{name}"]["warnings"]
    if key:
        backfill = {"stream_options": {f"dbo.{name}": {"replication_key": "d", "start_value": "1"}}}
        part = tap.read(one.state, **changed | backfill)
        assert part.code in (2, 3) and "load it once without them" in part.said, "a part in place of the whole table"
    two = good(tap.read(one.state, **changed))
    assert (
        ids(two, f"dbo-{name}") == ([1, 2] if key else [1]) and told in two.document(f"dbo-{name}")["notes"] and told in two.said
    )
    execute(server, f"INSERT INTO dbo.{name} VALUES (3, 7, 3)")
    three = good(tap.read(two.state, **changed))
    assert three.document(f"dbo-{name}")["mode"] == ("merge" if key else "append") and told not in three.said


@pytest.mark.parametrize(("first", "then"), [([], ["id"]), (["id"], ["id", "part"]), (["id"], [])])
def test_another_key_reads_an_incremental_stream_whole_once_and_says_so(
    first: list[str], then: list[str], server: Counterpart, tap: Tap
) -> None:
    """Rows that were merged by another key, or appended, are in Delta as that one said."""
    name = f"Keyed{len(first)}{len(then)}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL, part int NOT NULL, c int NOT NULL)")
    execute(server, f"INSERT INTO dbo.{name} VALUES (1, 1, 1), (2, 1, 2), (3, 1, 3)")

    def keyed(key: list[str]) -> dict[str, Any]:
        return options(name, **{"key": key} if key else {})

    one = good(tap.read(**keyed(first)))
    was, now = (", ".join(each) or "none" for each in (first, then))
    told = f"its key was ({was}) and is ({now}): this load reads the stream whole"
    steps, _ = tap.steps(one.state, **keyed(then))
    assert steps[f"dbo-{name}"]["mode"] == "overwrite" and told in steps[f"dbo-{name}"]["warnings"]
    two = good(tap.read(one.state, **keyed(then)))
    document = two.document(f"dbo-{name}")
    assert document["mode"] == "overwrite" and ids(two, f"dbo-{name}") == ([1, 2, 3] if then else [1, 2])
    assert told in document["notes"] and told in two.said
    execute(server, f"INSERT INTO dbo.{name} VALUES (4, 1, 4)")
    three = good(tap.read(two.state, **keyed(then)))
    assert three.document(f"dbo-{name}")["mode"] == ("merge" if then else "append") and told not in three.said
    old = {"bookmarks": {f"dbo-{name}": {k: v for k, v in one.state["bookmarks"][f"dbo-{name}"].items() if k != "key_columns"}}}
    assert told not in good(tap.read(old, **keyed(then))).said, "a bookmark that does not say so is gone on from"


@pytest.mark.parametrize("key", ["", " PRIMARY KEY"], ids=["no key", "key"])
def test_after_a_load_of_the_whole_table_by_another_method_an_incremental_stream_begins_anew(
    key: str, server: Counterpart, tap: Tap
) -> None:
    """Its bookmark is behind rows that the table holds by then: without a key they would be double, and with another `where` too
    many."""
    name = f"Between{len(key)}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL{key}, c int NOT NULL)")
    execute(server, f"INSERT INTO dbo.{name} VALUES (1, 1), (2, 2), (3, 3)")
    one = good(tap.read(**options(name)))
    execute(server, f"INSERT INTO dbo.{name} VALUES (4, 4)")
    two = good(tap.read(one.state, streams=[f"dbo.{name}"]))
    assert ids(two, f"dbo-{name}") == [1, 2, 3, 4] and not two.state["bookmarks"][f"dbo-{name}"]
    execute(server, f"INSERT INTO dbo.{name} VALUES (5, 5), (6, 6)")
    three = good(tap.read(two.state, **options(name)))
    assert three.document(f"dbo-{name}")["mode"] == "overwrite"
    assert ids(three, f"dbo-{name}") == [1, 2, 3, 4, 5, 6][: 6 if key else 5], "without a key the greatest value waits"


def test_a_text_that_ends_like_a_time_with_its_zone_is_a_bookmark_as_it_is(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Zone (id int NOT NULL, c varchar(9) NOT NULL)")
    execute(server, "INSERT INTO dbo.Zone VALUES (1, '100'), (2, '100A'), (3, '100Z')")
    one = good(tap.read(**options("Zone")))
    execute(server, "INSERT INTO dbo.Zone VALUES (4, '101')")
    two = good(tap.read(one.state, **options("Zone")))
    assert (ids(one, "dbo-Zone"), ids(two, "dbo-Zone")) == ([1, 2], [3])
    assert two.document("dbo-Zone")["cursor"]["from"] == "100Z"


def test_a_bookmark_above_everything_the_source_has_stays_and_is_told(server: Counterpart, tap: Tap) -> None:
    execute(
        server,
        "CREATE TABLE dbo.Restored (id int NOT NULL PRIMARY KEY, c int NOT NULL)",
        "INSERT INTO dbo.Restored VALUES (1, 5)",
    )
    state = {"bookmarks": {"dbo-Restored": {"replication_key": "c", "replication_key_value": "9"}}}
    ran = good(tap.read(state, **options("Restored")))
    assert ids(ran, "dbo-Restored") == [] and ran.state["bookmarks"]["dbo-Restored"]["replication_key_value"] == "9"
    assert "below the bookmark 9" in ran.said


def test_a_replication_key_that_is_not_there_is_refused_by_name(server: Counterpart, tap: Tap) -> None:
    settings = {"streams": ["Sales.SalesTerritory"], "stream_options": {"Sales.SalesTerritory": {"replication_key": "Nope"}}}
    ran = tap.read(**settings)
    assert ran.code == 2 and "replication key 'Nope' is not one of its columns" in ran.said and "Traceback" not in ran.said


@pytest.mark.parametrize("index", ["CREATE INDEX ix ON dbo.{} (c)", ""], ids=["indexed", "scanned"])
def test_rows_without_a_value_come_with_each_load_of_a_keyed_stream_and_are_counted(
    index: str, server: Counterpart, tap: Tap
) -> None:
    name = f"Nulls{bool(index):d}"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c int NULL)")
    execute(server, *([index.format(name)] if index else []), f"INSERT INTO dbo.{name} VALUES (1, 1), (2, NULL), (3, NULL)")
    one = good(tap.read(**options(name)))
    assert ids(one, f"dbo-{name}") == [1, 2, 3]
    assert "2 rows have no value in c: each load of this stream reads them" in one.document(f"dbo-{name}")["notes"]
    execute(server, f"INSERT INTO dbo.{name} VALUES (4, NULL), (5, 2)")
    two = good(tap.read(one.state, **options(name)))
    assert ids(two, f"dbo-{name}") == [1, 2, 3, 4, 5]
    assert any("3 rows have no value in c" in note for note in two.document(f"dbo-{name}")["notes"])


def test_without_a_key_rows_without_a_value_end_the_load_or_are_left_out_by_a_setting(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Void (id int NOT NULL, c int NULL)", "CREATE INDEX ix ON dbo.Void (c)")
    execute(server, "INSERT INTO dbo.Void VALUES (1, 1), (2, NULL), (3, 2)")
    refused = tap.read(**options("Void"))
    told = "rows of its table have no value in replication key c"
    assert refused.code == 2 and told in refused.said and "on_null_replication_key to skip" in refused.said
    steps, said = tap.steps(**options("Void"))
    assert not steps and told in said, "plan says so beforehand"
    skipping = options("Void", on_null_replication_key="skip")
    one = good(tap.read(**skipping))
    left_out = "1 rows without a value in c are left out (on_null_replication_key: skip)"
    assert ids(one, "dbo-Void") == [1] and left_out in one.document("dbo-Void")["notes"]
    assert left_out in tap.steps(**skipping)[0]["dbo-Void"]["warnings"]
    execute(server, "INSERT INTO dbo.Void VALUES (4, NULL)")
    idle = good(tap.read(one.state, **skipping))
    assert idle.streams == set() and left_out.replace("1 rows", "2 rows") in idle.said, "told also where no load notes it"
    execute(server, "DELETE FROM dbo.Void WHERE id = 4")
    execute(server, "UPDATE dbo.Void SET c = 5 WHERE id = 2")
    assert ids(good(tap.read(one.state, **options("Void"))), "dbo-Void") == [3], "with a value it is a row like any other"


@pytest.mark.parametrize(("index", "declared"), [("CREATE INDEX ix ON dbo.{} (c)", "date"), ("", "int")])
def test_without_a_key_the_greatest_value_waits_until_it_is_complete_and_comes_once(
    index: str, declared: str, server: Counterpart, tap: Tap
) -> None:
    name, (first, second, third) = (
        f"Waits{declared}",
        ("0", "1", "2") if declared == "int" else ("'2026-01-01'", "'2026-01-02'", "'2026-01-03'"),
    )
    insert = f"INSERT INTO dbo.{name} VALUES "
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL, c {declared} NOT NULL)", *([index.format(name)] if index else []))
    told = "rows with the greatest c wait until there is a greater one"
    assert told in str(tap.steps(**options(name))[0][f"dbo-{name}"]["warnings"])
    state: dict[str, Any] = {}
    # What is inserted before a load, and the ids that it brings: every one once, whatever shares its value.
    for rows, read in (
        (f"(1, {first}), (2, {second})", [1]),
        (f"(3, {second})", []),
        ("", []),
        (f"(4, {third}), (5, {second})", [2, 3, 5]),
        (f"(6, {third})", []),
    ):
        if rows:
            execute(server, insert + rows)
        ran = good(tap.read(state, **options(name)))
        assert ids(ran, f"dbo-{name}") == read
        if not read:
            assert ran.streams == set(), "what waits is no load"
            continue
        assert ran.document(f"dbo-{name}")["source_rows"] == len(read)
        assert any(told in note for note in ran.document(f"dbo-{name}")["notes"])
        state = ran.state
    older = {"bookmarks": {f"dbo-{name}": {"replication_key": "c", "replication_key_value": second.strip("'")}}}
    assert ids(good(tap.read(older, **options(name))), f"dbo-{name}") == [], "an older bookmark's value was read"
    execute(server, insert.replace("VALUES", "SELECT 7,") + (f"DATEADD(day, 1, {third})" if declared == "date" else "3"))
    assert ids(good(tap.read(older, **options(name))), f"dbo-{name}") == [4, 6]


@pytest.mark.parametrize("declared", ["date", "smalldatetime", "int"])
def test_a_row_committed_later_with_the_bookmarks_own_value_is_read(declared: str, server: Counterpart, tap: Tap) -> None:
    name, value = f"Tied{declared}", "5" if declared == "int" else "'2026-11-24'"
    execute(server, f"CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c {declared} NOT NULL)")
    execute(server, f"INSERT INTO dbo.{name} VALUES (1, {value})")
    one = good(tap.read(**options(name)))
    execute(server, f"INSERT INTO dbo.{name} VALUES (2, {value})")
    two = good(tap.read(one.state, **options(name)))
    assert ids(two, f"dbo-{name}") == [1, 2] and position(two, f"dbo-{name}") == position(one, f"dbo-{name}")


# What is done to rows that come again, and whether that makes a load: one by one, each after a load of its own.
DONE = {
    "SELECT 1": False,
    "UPDATE dbo.Again SET t = N'A' WHERE id = 2": True,  # by the collation the same text
    "UPDATE dbo.Again SET f = 0.30000000000000004E0 WHERE id = 3": True,
    "UPDATE dbo.Again SET b = 0x WHERE id = 4": True,  # NULL before
    "UPDATE dbo.Again SET at = '2026-01-01T00:00:00.0000010' WHERE id = 4": True,
    "UPDATE dbo.Again SET t = N'old' WHERE id = 1": False,  # it is below the bookmark: no replication key tells of that
    "INSERT INTO dbo.Again SELECT 5, c, t, f, b, at FROM dbo.Again WHERE id = 3": True,
    "DELETE FROM dbo.Again WHERE id = 5": True,
    "UPDATE dbo.Again SET id = 6 WHERE id = 3": True,
    "UPDATE dbo.Again SET c = NULL WHERE id = 1": True,
}


def test_a_load_that_would_bring_what_the_one_before_brought_is_none_until_a_value_of_it_changes(
    server: Counterpart, tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = "id int NOT NULL PRIMARY KEY, c date NULL, t nvarchar(9), f float, b varbinary(9), at datetime2(7)"
    values = [(1, "'2026-01-01'"), (2, "'2026-01-02'"), (3, "'2026-01-02'"), (4, "NULL")]
    rows = ", ".join(f"({n}, {c}, N'a', 0.3, NULL, '2026-01-01')" for n, c in values)
    execute(server, f"CREATE TABLE dbo.Again ({columns})", f"INSERT INTO dbo.Again VALUES {rows}")
    last = good(tap.read(range_rows=2, **options("Again")))
    for statement, makes_a_load in DONE.items():
        execute(server, statement)
        ran = good(tap.read(last.state, range_rows=2, **options("Again")))
        assert (ran.streams == {"dbo-Again"}) is makes_a_load, statement
        last = ran if makes_a_load else last
        assert good(tap.read(last.state, **options("Again"))).streams == set(), f"once more after {statement}"
    monkeypatch.setattr(again, "MOST_ROWS", 2)
    assert good(tap.read(last.state, **options("Again"))).streams == {"dbo-Again"}, "too many to compare: they come each time"


def test_the_servers_descriptions_travel_with_each_load(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Told (id int NOT NULL PRIMARY KEY, c int NOT NULL)", "INSERT INTO dbo.Told VALUES (1, 1)")
    place = "@level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'Told'"
    column = f"{place}, @level2type = N'COLUMN', @level2name = N'c'"
    for where, text in ((place, "It''s told"), (column, "Peças 😀")):
        execute(server, f"EXEC sys.sp_addextendedproperty @name = N'MS_Description', @value = N'{text}', {where}")
    document = good(tap.read(**options("Told"))).document("dbo-Told")
    assert document["comment"] == "It's told"
    assert {each["name"]: each["comment"] for each in document["schema"]} == {"id": "", "c": "Peças 😀"}


def test_ties_of_the_replication_key_are_read_once_whatever_the_range(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Ties (id int NOT NULL PRIMARY KEY, c int NOT NULL)", "CREATE INDEX ix ON dbo.Ties (c)")
    execute(server, "INSERT INTO dbo.Ties VALUES " + ", ".join(f"({n}, {n // 20})" for n in range(200)))
    ran = good(tap.read(range_rows=7, **options("Ties")))
    same(ran.table("dbo-Ties"), select(server, "SELECT * FROM dbo.Ties"))


# change → its statement, the setting, ids of the next load, its mode, what is said (in the notes, or on standard error)
SHAPES = {
    "new": ("ADD b int NULL", "backfill", {1, 2, 3}, "overwrite", "column b is new: this load reads the stream whole"),
    "unread": ("ADD b int NULL", "null", {2, 3}, "merge", "column b is new: rows that were read before hold NULL in it"),
    "dropped": ("DROP COLUMN a", "backfill", {2, 3}, "merge", "column a is gone or deselected"),
    "widened": ("ALTER COLUMN a bigint NULL", "backfill", {2, 3}, "merge", ""),
    "narrowed": ("ALTER COLUMN a smallint NULL", "backfill", None, "", "column a was int32 and is int16"),
}  # fmt: skip


def test_columns_that_change_between_two_loads_are_read_on_or_whole_or_refused_and_stop_no_other(
    server: Counterpart, tap: Tap
) -> None:
    for name in SHAPES:
        execute(server, f"CREATE TABLE dbo.Shape{name} (id int NOT NULL PRIMARY KEY, a int NULL, c int NOT NULL)")
        execute(server, f"INSERT INTO dbo.Shape{name} VALUES (1, 1, 1), (2, 2, 2)")
    settings = {
        "streams": ["dbo.Shape*"],
        "stream_options": [
            {"pattern": "dbo.Shape*", "replication_key": "c"},
            *({"pattern": f"dbo.Shape{name}", "on_new_column": setting} for name, (_, setting, *_) in SHAPES.items()),
        ],
    }
    one = good(tap.read(**settings))
    assert one.state["bookmarks"]["dbo-Shapenew"]["columns"] == {"id": "int32", "a": "int32", "c": "int32"}
    for name, (change, *_) in SHAPES.items():
        execute(server, f"ALTER TABLE dbo.Shape{name} {change}", f"INSERT INTO dbo.Shape{name} (id, c) VALUES (3, 3)")
    steps, said = tap.plan(one.state, **settings)
    assert {name: step["mode"] for name, step in steps.items()} == {
        f"dbo-Shape{name}": mode for name, (*_, mode, _) in SHAPES.items() if mode
    }
    assert any("this load reads the stream whole" in warning for warning in steps["dbo-Shapenew"]["warnings"])
    assert "column a was int32 and is int16" in said and "The other 4 are ready to be read" in said
    two = tap.read(one.state, **settings)
    assert two.code == 3 and "1 of 5 streams failed" in two.said and "The other 4 are complete and staged" in two.said
    for name, (_, _, ids_, mode, told) in SHAPES.items():
        stream = f"dbo-Shape{name}"
        if ids_ is None:
            assert stream not in two.streams and told in two.said and f"entrypoint.sh refresh {stream}" in two.said
            assert two.state["bookmarks"][stream] == one.state["bookmarks"][stream]
            continue
        document, columns = two.document(stream), two.state["bookmarks"][stream]["columns"]
        assert (two.rows[stream], document["mode"]) == (ids_, mode)
        assert columns == {each["name"]: each["type"] for each in document["schema"]}
        assert any(told in note for note in document["notes"]) and (not told or told in two.said)
    three = good(tap.read(two.state, **settings | {"streams": ["dbo.Shape*", "!dbo.Shapenarrowed"]}))
    assert three.streams == set(), "what was told once is settled"


def test_a_stream_that_cannot_be_read_as_asked_stops_no_other(server: Counterpart, tap: Tap) -> None:
    execute(server, "CREATE TABLE dbo.Well (id int NOT NULL PRIMARY KEY)", "CREATE TABLE dbo.Ill (id int NOT NULL PRIMARY KEY)")
    options = {"dbo.Ill": {"replication_key": "nope"}}
    ran = tap.read(streams=["dbo.Well", "dbo.Ill"], stream_options=options)
    assert ran.code == 3 and ran.streams == {"dbo-Well"}
    assert "replication key 'nope' is not one of its columns" in ran.said and "The other one is complete and staged" in ran.said
