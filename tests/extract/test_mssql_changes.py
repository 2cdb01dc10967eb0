"""LOG_BASED streams: what Change Tracking says has changed, and what was deleted; whole again where it cannot say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mssql_kit import READ, TAP, Ran, Tap, execute, good, select

from sandbox.launch import Counterpart, counterpart

COLUMNS = "Id int NOT NULL PRIMARY KEY, V nvarchar(20) NULL, Amount decimal(9, 2) NULL"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    folder = tmp_path_factory.mktemp("changes")
    with counterpart(
        "sqlserver", folder / "server", "--scale", "0.001", "--faults", str(folder / "server/faults.json")
    ) as running:
        execute(running, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        yield running


@pytest.fixture
def faults(server: Counterpart) -> Iterator[Callable[..., None]]:
    file = server.data.parent / "faults.json"

    def write(*rules: dict[str, Any]) -> None:
        file.write_text(json.dumps({"statements": rules}))

    yield write
    write()


class Delta:
    """What Delta holds of one tracked table, run after run: loads are applied here as docs/contracts.md says."""

    def __init__(self, server: Counterpart, folder: Path, name: str, *rows: str, **settings: Any) -> None:
        self.server, self.name, self.stream = server, name, f"dbo-{name}"
        options = {f"dbo.{name}": {"replication_method": "LOG_BASED"}}
        self.tap = Tap(server, folder, {"streams": [f"dbo.{name}"], "stream_options": options} | settings)
        self.state: dict[str, Any] = {}
        self.rows: dict[int, dict[str, Any]] = {}
        self.where = "1 = 1"
        self.does(f"CREATE TABLE dbo.{name} ({COLUMNS})", f"ALTER TABLE dbo.{name} ENABLE CHANGE_TRACKING", *rows)

    def does(self, *statements: str) -> None:
        execute(self.server, *statements)

    def run(self, **settings: Any) -> Ran:
        """A run of the tap, and what its load makes of Delta; afterwards Delta is what the table is."""
        ran = good(self.tap.read(self.state, **settings))
        self.take(ran)
        assert self.rows == self.source(), ran.said
        return ran

    def take(self, ran: Ran) -> None:
        if self.stream not in ran.streams:
            return
        document = ran.document(self.stream)
        cursor = document["cursor"]
        assert cursor["column"] is None and document["source_rows"] == document["rows"] == ran.table(self.stream).num_rows
        assert document["deletes"] == len(ran.deleted[self.stream])
        if document["mode"] == "overwrite":
            assert cursor["from"] is None and document["source_deletes"] is None
            self.rows = {}
        else:
            assert document["mode"] == "merge" and cursor["from"] == str(self.version)
            assert document["source_deletes"] == document["deletes"]
        for row in ran.deleted[self.stream]:
            assert list(row) == ["Id"]
            self.rows.pop(row["Id"], None)
        self.rows |= {row["Id"]: row for row in ran.table(self.stream).to_pylist()}
        if document["snapshot_rows"] is not None:
            assert document["snapshot_rows"] == len(self.rows)
        self.state = ran.state
        assert cursor["to"] == str(self.version)

    @property
    def version(self) -> int:
        return int(self.state["bookmarks"][self.stream]["change_version"])

    def source(self) -> dict[int, dict[str, Any]]:
        sql = f"SELECT Id, V, Amount FROM dbo.{self.name} WHERE {self.where}"
        return {row["Id"]: row for row in select(self.server, sql).to_pylist()}

    def mode(self, ran: Ran) -> str:
        return str(ran.document(self.stream)["mode"]) if self.stream in ran.streams else "nothing"


THREE = "VALUES (1, N'a', 1.5), (2, N'b', 2.5), (3, N'c', 3.5)"


def test_only_what_changed_is_read_and_deleted_rows_arrive_as_keys(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Changed", f"INSERT INTO dbo.Changed {THREE}")
    assert delta.mode(delta.run()) == "overwrite"
    delta.does(
        "UPDATE dbo.Changed SET V = N'B' WHERE Id = 2",
        "DELETE FROM dbo.Changed WHERE Id = 1",
        "INSERT INTO dbo.Changed VALUES (4, NULL, NULL), (5, N'e', 5)",
        "DELETE FROM dbo.Changed WHERE Id = 5",
        "UPDATE dbo.Changed SET Id = 30 WHERE Id = 3",
    )
    ran = delta.run()
    assert sorted(ran.table(delta.stream)["Id"].to_pylist()) == [2, 4, 30]
    assert sorted(row["Id"] for row in ran.deleted[delta.stream]) == [1, 3, 5]
    assert ran.document(delta.stream)["snapshot_rows"] == 3
    delta.does("DELETE FROM dbo.Changed")
    ran = delta.run()
    assert (ran.table(delta.stream).num_rows, len(ran.deleted[delta.stream]), delta.rows) == (0, 3, {})


def test_where_nothing_changed_there_is_no_load_and_the_bookmark_stays(server: Counterpart, tmp_path: Path) -> None:
    """Unless the bookmark grows old: then an empty load moves it, before the server forgets what came since."""
    delta = Delta(server, tmp_path, "Idle", f"INSERT INTO dbo.Idle {THREE}")
    delta.run()
    before = delta.version
    delta.does("CREATE TABLE dbo.Beside (Id int PRIMARY KEY)", "ALTER TABLE dbo.Beside ENABLE CHANGE_TRACKING")
    delta.does("INSERT INTO dbo.Beside VALUES (1)")
    ran = delta.run()
    assert (delta.mode(ran), delta.version) == ("nothing", before)
    delta.state["bookmarks"][delta.stream]["read_at"] = "2026-01-01T00:00:00.000000Z"
    ran = delta.run()
    assert delta.mode(ran) == "merge" and ran.table(delta.stream).num_rows == 0 and delta.version > before


def test_with_a_where_a_row_that_no_longer_meets_it_is_deleted_and_another_where_reads_the_stream_whole(
    server: Counterpart, tmp_path: Path
) -> None:
    delta = Delta(server, tmp_path, "Filtered", f"INSERT INTO dbo.Filtered {THREE}")
    options = delta.tap.settings["stream_options"]["dbo.Filtered"]
    options["where"] = delta.where = "Amount > 2 OR V = N'x'"
    assert delta.mode(delta.run()) == "overwrite" and set(delta.rows) == {2, 3}
    delta.does(
        "UPDATE dbo.Filtered SET Amount = 9 WHERE Id = 1",
        "UPDATE dbo.Filtered SET Amount = 0 WHERE Id = 2",
        "INSERT INTO dbo.Filtered VALUES (4, N'x', NULL), (5, N'y', 1)",
        "DELETE FROM dbo.Filtered WHERE Id = 3",
    )
    ran = delta.run()
    assert (delta.mode(ran), set(delta.rows), ran.document(delta.stream)["snapshot_rows"]) == ("merge", {1, 4}, 2)
    assert {2, 3} <= {row["Id"] for row in ran.deleted[delta.stream]}
    before, options["where"] = delta.where, "Amount < 2"
    delta.where = "Amount < 2"
    told = f"where was {before} and is Amount < 2: this load reads the stream whole"
    step = delta.tap.steps(delta.state)[0][delta.stream]
    assert (step["mode"], step["where"]) == ("overwrite", "Amount < 2") and told in step["warnings"]
    ran = delta.run()
    assert (delta.mode(ran), set(delta.rows)) == ("overwrite", {2, 5}) and told in ran.document(delta.stream)["notes"]


LOST = {
    "Truncated": (
        ["TRUNCATE TABLE dbo.Truncated", "INSERT INTO dbo.Truncated VALUES (7, N'x', 7)"],
        "its changes are tracked anew since version",
    ),
    "Expired": (
        [
            "DELETE FROM dbo.Expired WHERE Id = 1",
            "EXEC sp_sandbox_age_changes 3",
            "EXEC sys.sp_flush_CT_internal_table_on_demand 'dbo.Expired'",
        ],
        "changes are known since version",
    ),
    "Switched": (
        [
            "INSERT INTO dbo.Switched VALUES (8, N'x', 8)",
            "ALTER TABLE dbo.Switched DISABLE CHANGE_TRACKING",
            "DELETE FROM dbo.Switched WHERE Id = 1",
            "ALTER TABLE dbo.Switched ENABLE CHANGE_TRACKING",
        ],
        "its changes are tracked anew since version",
    ),
    "Anew": (
        [
            "DROP TABLE dbo.Anew",
            f"CREATE TABLE dbo.Anew ({COLUMNS})",
            "ALTER TABLE dbo.Anew ENABLE CHANGE_TRACKING",
            "INSERT INTO dbo.Anew VALUES (9, N'x', 9)",
        ],
        "the table was made anew",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_a_table_whose_changes_are_not_all_known_is_read_whole_and_says_why(
    name: str, server: Counterpart, tmp_path: Path
) -> None:
    statements, why = LOST[name]
    delta = Delta(server, tmp_path, name, f"INSERT INTO dbo.{name} {THREE}")
    delta.run()
    delta.does(*statements)
    ran = delta.run()
    assert delta.mode(ran) == "overwrite" and why in ran.said, ran.said
    assert any(why in note for note in ran.document(delta.stream)["notes"])
    delta.does(f"DELETE FROM dbo.{name} WHERE Id = 2", f"INSERT INTO dbo.{name} VALUES (20, N't', 2)")
    assert delta.mode(delta.run()) == "merge"


def test_a_database_that_was_restored_is_read_whole(tmp_path: Path) -> None:
    with counterpart("sqlserver", tmp_path / "own", "--scale", "0.001") as server:
        execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON")
        delta = Delta(server, tmp_path, "Restored", f"INSERT INTO dbo.Restored {THREE}")
        delta.run()
        delta.does("EXEC sp_sandbox_restore_version 0", "DELETE FROM dbo.Restored WHERE Id = 3")
        delta.state["bookmarks"][delta.stream]["change_version"] = 99
        ran = delta.run()
        assert delta.mode(ran) == "overwrite" and "as one that was restored" in ran.said


def test_a_table_with_another_primary_key_is_read_whole(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Rekeyed", f"INSERT INTO dbo.Rekeyed {THREE}")
    delta.run()
    delta.state["bookmarks"][delta.stream]["key_columns"] = ["V"]
    ran = delta.run()
    assert delta.mode(ran) == "overwrite" and "its primary key was (V) and is (Id)" in ran.said


TEN = ", ".join(f"({n}, N'v{n}', {n})" for n in range(10))
MANY = ["UPDATE {0} SET V = N'new' WHERE Id > 2", "DELETE FROM {0} WHERE Id IN (0, 1)", "INSERT INTO {0} VALUES (90, N'i', 9)"]


def broken_load(delta: Delta, faults: Callable[..., None]) -> None:
    """A load of changes that ends in the middle, with ranges finished."""
    delta.run()
    delta.does(*(each.format(f"dbo.{delta.name}") for each in MANY))
    faults({"match": READ + rf"\[Id\], .*FROM \[dbo\]\.\[{delta.name}\]", "skip": 2, "error": 229, "times": None})
    ran = delta.tap.read(delta.state, range_rows=3, max_parallel=1)
    assert ran.code == 3 and not ran.streams, ran.said
    faults()


def test_a_load_of_changes_goes_on_where_it_broke_and_what_changed_since_comes_with_the_next(
    server: Counterpart, faults: Callable[..., None], tmp_path: Path
) -> None:
    """Up to the version at which it began: a row changed since in a range that was kept, a key deleted, a deleted one back."""
    delta = Delta(server, tmp_path, "Broken", f"INSERT INTO dbo.Broken VALUES {TEN}")
    broken_load(delta, faults)
    begun = delta.version + len(MANY)
    table = "dbo.Broken"
    delta.does(f"UPDATE {table} SET V = N'later' WHERE Id = 3", f"DELETE FROM {table} WHERE Id = 9")
    delta.does(f"INSERT INTO {table} VALUES (0, N'back', 0)")
    ran = good(delta.tap.read(delta.state, range_rows=3))
    assert "going on with" in ran.said, ran.said
    delta.take(ran)
    assert delta.version == begun
    delta.run()


def test_a_load_that_broke_is_not_gone_on_with_in_a_database_restored_to_before_its_version(tmp_path: Path) -> None:
    """Its version would be given again to changes that the next load then passes over."""
    file = tmp_path / "faults.json"
    with counterpart("sqlserver", tmp_path / "own", "--scale", "0.001", "--faults", str(file)) as server:
        execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON")
        delta = Delta(server, tmp_path, "Back", f"INSERT INTO dbo.Back VALUES {TEN}")
        broken_load(delta, lambda *rules: file.write_text(json.dumps({"statements": rules})) and None)
        delta.does(f"EXEC sp_sandbox_restore_version {delta.version}")
        ran = good(delta.tap.read(delta.state, range_rows=3))
        assert "it was restored" in ran.said and "going on with" not in ran.said, ran.said


def test_a_whole_load_that_broke_is_not_gone_on_with_behind_a_truncate(
    server: Counterpart, faults: Callable[..., None], tmp_path: Path
) -> None:
    """As many rows in each range as before may be other rows, and no change of them is known."""
    delta = Delta(server, tmp_path, "Refilled", f"INSERT INTO dbo.Refilled VALUES {TEN}")
    faults({"match": READ + r"\[Id\], .*FROM \[dbo\]\.\[Refilled\]", "skip": 2, "error": 229, "times": None})
    ran = delta.tap.read(delta.state, range_rows=3, max_parallel=1)
    assert ran.code == 3 and not ran.streams, ran.said
    faults()
    delta.does("TRUNCATE TABLE dbo.Refilled", f"INSERT INTO dbo.Refilled VALUES {TEN.replace('v', 'w')}")
    ran = good(delta.tap.read(delta.state, range_rows=3))
    assert "the version since which its changes are tracked changed" in ran.said and "going on with" not in ran.said, ran.said
    delta.take(ran)
    assert {row["V"] for row in delta.rows.values()} == {f"w{n}" for n in range(10)}


def test_changes_that_are_forgotten_while_they_are_read_are_no_changes_and_the_table_is_read_whole(
    server: Counterpart, faults: Callable[..., None], tmp_path: Path
) -> None:
    """In the same run, whatever on_schema_drift says: no column has changed."""
    delta = Delta(server, tmp_path, "Forgot", f"INSERT INTO dbo.Forgot VALUES {TEN}")
    delta.run()
    delta.does(*(each.format("dbo.Forgot") for each in MANY))
    emptied = "TRUNCATE TABLE dbo.Forgot; INSERT INTO dbo.Forgot VALUES (77, N'x', 7)"
    faults({"match": READ + r"\[Id\], .*FROM \[dbo\]\.\[Forgot\]", "skip": 1, "times": 1, "run": emptied})
    ran = delta.run(range_rows=3, max_parallel=1, snapshot="never", on_schema_drift="fail")
    assert delta.mode(ran) == "overwrite" and list(delta.rows) == [77] and "reads it whole" in ran.said
    assert any("are no longer known" in note for note in ran.document(delta.stream)["notes"])


@pytest.mark.parametrize("snapshot", ["always", "never"])
def test_a_link_cut_between_two_rows_is_no_end_of_changed_rows_or_deleted_keys(
    snapshot: str, server: Counterpart, faults: Callable[..., None], tmp_path: Path
) -> None:
    delta = Delta(server, tmp_path, f"Cut{snapshot}", f"INSERT INTO dbo.Cut{snapshot} VALUES {TEN}")
    delta.run()
    delta.does(*(each.format(f"dbo.{delta.name}") for each in MANY))
    cut = {"after_rows": 1, "close": "between rows", "times": 1}
    faults({"match": READ + r"\[Id\], ", **cut}, {"match": r"^SELECT \[Id\] FROM CHANGETABLE", **cut})
    ran = delta.run(snapshot=snapshot)
    assert ran.said.count("try 2 in") == 2 and len(ran.deleted[delta.stream]) == 2, ran.said


def test_a_link_cut_while_the_whole_table_is_counted_is_no_bug_and_it_is_counted_again(
    server: Counterpart, faults: Callable[..., None], tmp_path: Path
) -> None:
    delta = Delta(server, tmp_path, "Counted", f"INSERT INTO dbo.Counted {THREE}")
    delta.run()
    delta.does("DELETE FROM dbo.Counted WHERE Id = 1")
    faults({"match": r"^SELECT COUNT_BIG\(\*\) FROM \[dbo\]\.\[Counted\]$", "close": True, "times": 1})
    ran = delta.run()
    assert ran.said.count("try 2 in") == 1 and ran.document(delta.stream)["snapshot_rows"] == 2, ran.said


def test_the_plan_says_what_is_kept_and_what_waits_and_the_doctor_what_is_missing(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Told", f"INSERT INTO dbo.Told {THREE}")
    steps, said = delta.tap.steps()
    assert (
        steps[delta.stream]["mode"] == "overwrite" and "changes are kept since version" in steps[delta.stream]["warnings"][-1]
    ), said
    delta.run()
    delta.does("DELETE FROM dbo.Told WHERE Id < 3")
    steps, said = delta.tap.steps(delta.state)
    step = steps[delta.stream]
    assert (step["mode"], step["bookmark"], step["rows"]) == ("merge", str(delta.version), None), said
    assert f"2 keys changed since the bookmark's version {delta.version}" in step["warnings"]
    delta.does("DENY VIEW CHANGE TRACKING ON dbo.Told TO reader")
    config = tmp_path / "doctor.json"
    config.write_text(json.dumps(delta.tap.config()))
    done = subprocess.run([TAP, "--config", config, "--doctor", "--json"], capture_output=True, text=True)
    [finding] = [each for each in json.loads(done.stdout) if each["name"] == delta.stream]
    assert done.returncode == 3 and "GRANT VIEW CHANGE TRACKING ON [dbo].[Told]" in finding["fix"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([f"CREATE TABLE dbo.Asked ({COLUMNS})"], "changes of its table are not tracked"),
        (["CREATE TABLE dbo.Asked (Id int NOT NULL)"], "give the table a primary key"),
        (
            [
                f"CREATE TABLE dbo.Asked ({COLUMNS})",
                "ALTER TABLE dbo.Asked ENABLE CHANGE_TRACKING",
                "DENY VIEW CHANGE TRACKING ON dbo.Asked TO reader",
            ],
            "GRANT VIEW CHANGE TRACKING ON [dbo].[Asked]",
        ),
    ],
    ids=["not tracked", "no key", "no right"],
)
def test_a_stream_that_cannot_be_read_so_is_refused_with_what_to_type(
    made: list[str], said: str, server: Counterpart, tmp_path: Path
) -> None:
    execute(server, *made)
    tap = Tap(server, tmp_path, {"streams": ["dbo.Asked"], "stream_options": {"dbo.Asked": {"replication_method": "LOG_BASED"}}})
    ran = tap.read()
    execute(server, "DROP TABLE dbo.Asked")
    assert ran.code in (2, 3) and said in ran.said and "Traceback" not in ran.said, ran.said


def test_records_cannot_say_what_was_deleted_and_are_refused(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Recorded", f"INSERT INTO dbo.Recorded {THREE}")
    delta.tap.batch = False
    ran = delta.tap.run()
    assert ran.code == 2 and "RECORDs cannot say what was deleted" in ran.said, ran.said


def test_marked_rows_are_left_out_by_reconcile_which_needs_no_tracking(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Marked", f"INSERT INTO dbo.Marked {THREE}", deletes="mark")
    delta.run()
    delta.does("DELETE FROM dbo.Marked WHERE Id = 1")
    assert delta.run().document(delta.stream)["on_delete"] == "mark"
    delta.does("ALTER TABLE dbo.Marked DISABLE CHANGE_TRACKING")
    config, file = tmp_path / "reconcile.json", tmp_path / "figures"
    config.write_text(json.dumps(delta.tap.config()))
    done = subprocess.run([TAP, "--config", config, "--reconcile", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [table] = json.loads(file.read_text())["tables"]
    assert (table["problem"], table["on_delete"], sum(each["rows"] for each in table["ranges"])) == ("", "mark", 2)


def test_where_marked_rows_are_to_go_the_table_is_read_whole_once(server: Counterpart, tmp_path: Path) -> None:
    """Else they would stay in Delta, counted as rows that the source does not have; and one that comes again, marked."""
    delta = Delta(server, tmp_path, "Unmarked", f"INSERT INTO dbo.Unmarked {THREE}")
    delta.run()
    delta.does("DELETE FROM dbo.Unmarked WHERE Id = 1")
    assert delta.mode(delta.run(deletes="mark")) == "merge", "from then on they stay"
    ran = delta.run(deletes="apply")
    assert delta.mode(ran) == "overwrite" and "were marked, and are to go (deletes)" in ran.said, ran.said
    delta.does("DELETE FROM dbo.Unmarked WHERE Id = 2")
    assert [delta.mode(delta.run()), delta.mode(delta.run())] == ["merge", "nothing"]


def test_a_stream_changes_its_method_and_is_read_whole_both_ways(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Method", f"INSERT INTO dbo.Method {THREE}")
    delta.run()
    by_key = {"dbo.Method": {"replication_key": "Id"}}
    ran = good(delta.tap.run(delta.state, stream_options=by_key))
    assert ran.document(delta.stream)["mode"] == "overwrite"
    assert set(ran.state["bookmarks"][delta.stream]) == {
        "replication_key",
        "replication_key_value",
        "columns",
        "key_columns",
        "again",
    }
    delta.state = ran.state
    ran = delta.run()
    assert delta.mode(ran) == "overwrite" and "was read by the replication key Id" in ran.said


def test_a_new_column_is_read_for_all_rows_once(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "Column", f"INSERT INTO dbo.Column {THREE}")
    delta.run()
    delta.does("ALTER TABLE dbo.Column ADD More int NOT NULL DEFAULT 7", "UPDATE dbo.Column SET V = N'z' WHERE Id = 1")
    ran = good(delta.tap.read(delta.state))
    assert ran.document(delta.stream)["mode"] == "overwrite"
    assert ran.table(delta.stream)["More"].to_pylist() == [7, 7, 7]
    ran = good(delta.tap.read(ran.state))
    assert delta.mode(ran) == "nothing"


def test_the_method_that_suits_a_table_is_found_by_itself(server: Counterpart, tmp_path: Path) -> None:
    delta = Delta(server, tmp_path, "AutoTracked", f"INSERT INTO dbo.AutoTracked {THREE}")
    delta.does(
        "CREATE TABLE dbo.AutoVersion (Id int PRIMARY KEY, R rowversion)", "CREATE TABLE dbo.AutoPlain (Id int PRIMARY KEY)"
    )
    tap = Tap(server, tmp_path, {"streams": ["dbo.Auto*"], "default_replication_method": "auto"})
    found = {each["stream"]: (each["replication_method"], each.get("replication_key")) for each in tap.discovered()["streams"]}
    assert found == {
        "dbo-AutoTracked": ("LOG_BASED", None), "dbo-AutoVersion": ("INCREMENTAL", "R"), "dbo-AutoPlain": ("FULL_TABLE", None),
    }  # fmt: skip
    tap.catalog = tap.discovered()
    ran = good(tap.read())
    assert ran.document("dbo-AutoTracked")["cursor"]["column"] is None
