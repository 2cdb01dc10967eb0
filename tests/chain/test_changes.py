"""What changed at SQL Server is so in Delta after the next run, deleted rows too; where nothing has, no job runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from chain_kit import Pipeline, Result
from source_kit import execute

# Quotes, a dollar and line ends travel through the environment, Meltano and the tap.
QUERY = """SELECT d.Id, d.C, CASE WHEN t.V = N'c' THEN N'it''s $c' ELSE t.V END AS v
FROM dbo.Dated AS d LEFT JOIN dbo.Tracked AS t ON t.Id = d.Id
WHERE d.Id > 1"""


def assert_a_person_sees_how_far_it_is(result: Result) -> None:
    """A bar per stream that is being read, and what is waited for; the lines stay, and the cursor is there again."""
    for shown in (r"dbo-\w+ .*\d rows +0\.0 MB", r"sending what is not on dbfs:", r"waiting for the job over dbfs:"):
        assert re.search(shown, result.text), f"{shown}: {result.text}"
    lines = [re.sub(r"^.*\x1b\[[\d;?]*[A-Za-z]", "", line) for line in result.lines]
    for line in (
        r"extract   sqlserver/dbo-Tracked +3 rows",
        r"upload    8 files sent",
        r"convert   3 of 3 loads",
        r"run       done in",
    ):
        assert any(re.match(rf"\d\d:\d\d:\d\d  {line}", each) for each in lines), f"{line}: {result.text}"
    assert "\x1e" not in result.text, "what is for a program is not shown"
    assert result.text.count("\x1b[?25l") and result.text.rindex("\x1b[?25h") > result.text.rindex("\x1b[?25l")


def test_what_changed_and_what_was_deleted_is_so_in_delta_after_the_next_run_and_where_nothing_has_no_job_runs(
    pipeline: Callable[[str], Pipeline],
) -> None:
    """The method is found by itself; the source's own count of the table is Delta's."""
    one = pipeline("changes")
    one.environment |= {
        "TAP_MSSQL_STREAMS": '["dbo.Tracked", "dbo.Dated", "Of.*"]',
        "TAP_MSSQL_STREAM_OPTIONS": '{"*.Dated": {"replication_key": "C"}}',
        "TAP_MSSQL_QUERIES": json.dumps([{"name": "Of.Dated", "sql": QUERY, "key": ["Id"]}]),
        "TAP_MSSQL_DEFAULT_REPLICATION_METHOD": "auto",
        "TAP_REST_API_MSDK__SELECT": '["!*.*"]',
    }
    server = one.sandbox.sqlserver
    execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
    execute(server, "CREATE TABLE dbo.Tracked (Id int NOT NULL PRIMARY KEY, V nvarchar(20) NULL)")
    try:
        execute(server, "ALTER TABLE dbo.Tracked ENABLE CHANGE_TRACKING")
        execute(server, "INSERT INTO dbo.Tracked VALUES (1, N'a'), (2, N'b'), (3, N'c')")
        execute(server, "CREATE TABLE dbo.Dated (Id int NOT NULL PRIMARY KEY, C date NULL)")
        execute(server, "INSERT INTO dbo.Dated VALUES (1, '2026-01-01'), (2, '2026-01-02'), (3, '2026-01-02'), (4, NULL)")
        first = one.run(on_terminal=True, TAP_MSSQL_MAX_ROWS_PER_SECOND="2")
        assert first.code == 0, first.text
        assert_a_person_sees_how_far_it_is(first)
        assert {(row["Id"], row["v"]) for row in one.table("of_dated").to_pylist()} == {(2, "b"), (3, "it's $c"), (4, None)}
        execute(server, "DELETE FROM dbo.Tracked WHERE Id = 1")
        execute(server, "UPDATE dbo.Tracked SET V = N'C' WHERE Id = 3")
        execute(server, "INSERT INTO dbo.Tracked VALUES (4, NULL)")
        second = one.run(TAP_MSSQL_DELETES="apply")
        assert second.code == 0, second.text
        rows = {row["Id"]: row["V"] for row in one.table("dbo_tracked").to_pylist()}
        assert rows == {2: "b", 3: "C", 4: None}
        manifest = one.manifest("dbo-Tracked")
        assert (manifest["rows"], manifest["deletes"], manifest["snapshot_rows"]) == (2, 1, 3)
        [row] = [each for each in one.ledger() if each["load_id"] == manifest["load_id"]]
        assert (row["delta_rows"], row["deletes"]) == (2, 1)
        assert one.manifest("dbo-Dated")["mode"] == "overwrite", "its rows were what they were: the second run has no load of it"
        assert one.manifest("Of-Dated")["mode"] == "overwrite"
        orders = set(one.orders())
        third = one.run()
        assert third.code == 0 and set(one.orders()) == orders, third.text
    finally:
        execute(server, "ALTER TABLE dbo.Tracked DISABLE CHANGE_TRACKING")
        execute(server, "DROP TABLE dbo.Tracked")
        execute(server, "DROP TABLE IF EXISTS dbo.Dated")
        execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
