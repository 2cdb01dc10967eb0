"""A LOG_BASED stream all the way: rows that changed or were deleted at SQL Server are so in Delta after the next run."""

from __future__ import annotations

from collections.abc import Callable

from chain_kit import Pipeline, execute


def test_what_changed_and_what_was_deleted_is_so_in_delta_after_the_next_run(pipeline: Callable[[str], Pipeline]) -> None:
    """Its method is found by itself; the source's own count of the table is Delta's."""
    one = pipeline("changes")
    one.environment |= {
        "TAP_MSSQL_STREAMS": '["dbo.Tracked"]',
        "TAP_MSSQL_DEFAULT_REPLICATION_METHOD": "auto",
    }
    server = one.sandbox.sqlserver
    execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
    execute(server, "CREATE TABLE dbo.Tracked (Id int NOT NULL PRIMARY KEY, V nvarchar(20) NULL)")
    try:
        execute(server, "ALTER TABLE dbo.Tracked ENABLE CHANGE_TRACKING")
        execute(server, "INSERT INTO dbo.Tracked VALUES (1, N'a'), (2, N'b'), (3, N'c')")
        first = one.run()
        assert first.code == 0, first.text
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
    finally:
        execute(server, "ALTER TABLE dbo.Tracked DISABLE CHANGE_TRACKING")
        execute(server, "DROP TABLE dbo.Tracked")
        execute(server, "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF")
