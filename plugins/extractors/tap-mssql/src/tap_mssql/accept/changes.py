"""Change Tracking, and tables that change while they are read."""

from __future__ import annotations

from tap_mssql.accept.place import SCHEMA
from tap_mssql.accept.trial import Outcomes, Trial, absent, lacking, told

_ON = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)"


def changes(trial: Trial) -> Outcomes:
    """What changed and what was deleted; a table that was emptied."""
    name, options = "Change Tracking", {"replication_method": "LOG_BASED"}
    if trial.place.one("SELECT CHANGE_TRACKING_CURRENT_VERSION()") is None:
        yield absent(name, "the database does not track changes, and ALTER DATABASE is not a trial's to do", f"type {_ON}")
        return
    trial.place.table("tracked", "id int NOT NULL PRIMARY KEY, v int NULL", ["1, 1", "2, 2", "3, 3"])
    if lack := lacking(name, trial, f"ALTER TABLE {SCHEMA}.tracked ENABLE CHANGE_TRACKING"):
        yield lack
        return
    one = trial.reading.run("tracked", options)
    trial.place.does(
        f"UPDATE {SCHEMA}.tracked SET v = 20 WHERE id = 2",
        f"DELETE FROM {SCHEMA}.tracked WHERE id = 1",
        f"UPDATE {SCHEMA}.tracked SET id = 30 WHERE id = 3",
        f"INSERT INTO {SCHEMA}.tracked VALUES (4, 4), (5, 5)",
        f"DELETE FROM {SCHEMA}.tracked WHERE id = 5",
    )
    two = trial.reading.run("tracked", options, one.state)
    load = two.loads.get("tracked")
    wrong = one.error or two.error
    if load is not None:
        found = {"rows": sorted(load.column("id")), "deleted": sorted(load.deletes.column("id").to_pylist())}
        wrong = "" if found == {"rows": [2, 4, 30], "deleted": [1, 3, 5]} else str(found)
        counted = trial.place.one(f"SELECT COUNT(*) FROM {SCHEMA}.tracked")
        if load.document.snapshot_rows not in (None, counted):
            wrong = wrong or f"{load.document.snapshot_rows} rows are told, and the server counts {counted}"
    yield told(name, wrong, "rows that changed and keys that were deleted are what was done")
    trial.place.does(f"TRUNCATE TABLE {SCHEMA}.tracked", f"INSERT INTO {SCHEMA}.tracked VALUES (7, 7)")
    three = trial.reading.run("tracked", options, two.state)
    load = three.loads.get("tracked")
    wrong = three.error or "nothing was read"
    if load is not None:
        right = load.document.mode == "overwrite" and load.column("id") == [7]
        wrong = "" if right else f"a load of mode {load.document.mode} with the rows {load.column('id')}"
    yield told("Change Tracking, TRUNCATE", wrong, "the stream is read whole again")


def drift(trial: Trial) -> Outcomes:
    """A column that comes between discovery and reading."""
    trial.place.table("altered", "id int NOT NULL PRIMARY KEY, v int NULL", ["1, 1", "2, 2"])
    change = f"ALTER TABLE {SCHEMA}.altered ADD w int NULL"
    ran = trial.reading.run("altered", between=lambda: trial.place.does(change))
    wrong = "" if "column w int was added" in ran.error and not ran.loads else f"it is read: {ran.error or 'without a word'}"
    yield told("drift", wrong, "a table that was altered is refused, and the column named")
    change = f"ALTER TABLE {SCHEMA}.altered DROP COLUMN v"
    ran = trial.reading.over(on_schema_drift="evolve").run("altered", between=lambda: trial.place.does(change))
    names = ran.loads["altered"].rows.schema.names if "altered" in ran.loads else []
    yield told("drift, evolve", "" if names == ["id", "w"] else ran.error or f"columns {names}", "it is read as it is now")
