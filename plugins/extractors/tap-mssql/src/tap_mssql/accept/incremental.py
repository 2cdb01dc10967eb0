"""Incremental loads by every type of replication key: what is new, ties and NULLs, with a key and without, once each."""

from __future__ import annotations

from typing import Any

from singer_arrow.findings import Finding
from tap_mssql.accept.place import SCHEMA
from tap_mssql.accept.reading import Ran
from tap_mssql.accept.trial import Outcomes, Trial, failed, lacking, told

# Type of the replication key → three values that grow.
CURSORS: dict[str, tuple[str, str, str]] = {
    "int": ("-2147483648", "0", "2147483647"),
    "bigint": ("-9223372036854775808", "-1", "9223372036854775807"),
    "decimal(38,0)": ("-" + "9" * 38, "9" * 37 + "7", "9" * 37 + "8"),
    "money": ("-922337203685477.5808", "922337203685477.5806", "922337203685477.5807"),
    "float": ("-1.7976931348623157E+308", "0.1", "0.10000000000000002"),
    "date": ("'0001-01-01'", "'2024-02-29'", "'9999-12-31'"),
    "datetime": ("'1753-01-01T00:00:00.000'", "'2024-01-01T00:00:00.003'", "'2024-01-01T00:00:00.007'"),
    "smalldatetime": ("'1900-01-01T00:00:00'", "'2024-01-01T00:00:00'", "'2024-01-01T00:01:00'"),
    "datetime2(7)": ("'0001-01-01T00:00:00.0000001'", "'2024-01-01T00:00:00.1234567'", "'2024-01-01T00:00:00.1234568'"),
    "datetimeoffset(7)": (
        "'2024-01-01T00:00:00.0000000+14:00'", "'2024-01-01T00:00:00.0000000+02:00'", "'2024-01-01T00:00:00.0000001+02:00'"),
    "nvarchar(20)": ("N'a'", "N'O''Brien'", "N'z'"),
    "uniqueidentifier": tuple(f"'00000000-0000-0000-0000-{n:012X}'" for n in (0, 1, 256)),  # type: ignore[dict-item]
}  # fmt: skip


def incremental(trial: Trial) -> Outcomes:
    """One line per type; then streams without a key, and a where."""
    tables = {f"inc_{number}": declared for number, declared in enumerate(CURSORS)}
    for table, declared in tables.items():
        first, second, _ = CURSORS[declared]
        trial.place.table(table, f"id int NOT NULL PRIMARY KEY, c {declared} NULL", [f"1, {first}", f"2, {second}", "3, NULL"])
        trial.place.does(f"CREATE INDEX ix ON {SCHEMA}.{table} (c)")
    options = {"replication_key": "c"}
    one = trial.reading.run("inc_*", options)
    for table, declared in tables.items():
        _, second, third = CURSORS[declared]
        trial.place.insert(table, [f"4, {second}", f"5, {third}", "6, NULL"])
    two = trial.reading.run("inc_*", options, one.state)
    for table, declared in tables.items():
        yield _of_two(f"incremental by {declared}", table, one, two, ([1, 2, 3], [2, 3, 4, 5, 6]))
    yield from _rowversion(trial)
    yield from _without_key(trial)
    yield from _where(trial)


def _of_two(name: str, table: str, one: Ran, two: Ran, right: tuple[list[int], list[int]]) -> Finding:
    wrong = []
    for which, ran, ids in (("first", one, right[0]), ("second", two, right[1])):
        load = ran.loads.get(table)
        if load is None:
            wrong.append(ran.error or f"the {which} load brought nothing")
        elif sorted(load.column("id")) != ids or load.document.source_rows != len(ids):
            wrong.append(f"the {which} load has the rows {sorted(load.column('id'))} and not {ids}")
    return told(name, "; ".join(wrong), "what is new, the bookmark's own value and NULLs, each once")


def _rowversion(trial: Trial) -> Outcomes:
    name, options = "incremental by rowversion", {"replication_key": "c"}
    lack = lacking(name, trial, f"CREATE TABLE {SCHEMA}.versions (id int NOT NULL PRIMARY KEY, t int NULL, c rowversion)")
    if lack is not None:
        yield lack
        return
    trial.place.insert("versions", ["1, 1", "2, 2"], "(id, t)")
    one = trial.reading.run("versions", options)
    trial.place.does(f"UPDATE {SCHEMA}.versions SET t = 3 WHERE id = 1", f"INSERT INTO {SCHEMA}.versions (id, t) VALUES (3, 3)")
    two = trial.reading.run("versions", options, one.state)
    yield _of_two(name, "versions", one, two, ([1, 2], [1, 3]))


def _without_key(trial: Trial) -> Outcomes:
    name, options = "ties without a key", {"replication_key": "c"}
    trial.place.table("keyless", "id int NOT NULL, c date NULL", ["1, '2024-01-01'", "2, '2024-01-02'"])
    trial.place.does(f"CREATE INDEX ix ON {SCHEMA}.keyless (c)")
    seen: list[list[int]] = []
    state: dict[str, Any] = {}
    for rows in ((), ("3, '2024-01-02'",), ("4, '2024-01-03'", "5, '2024-01-02'")):
        trial.place.insert("keyless", rows)
        ran = trial.reading.run("keyless", options, state)
        state = ran.state
        if ran.error:
            yield failed(name, ran.error)
            return
        seen.append(sorted(ran.loads["keyless"].column("id")) if "keyless" in ran.loads else [])  # nothing new is no load
    wrong = "" if seen == [[1], [], [2, 3, 5]] else f"three loads have the rows {seen}"
    yield told(name, wrong, "the greatest value waits until it is complete, and comes once")
    trial.place.insert("keyless", ["6, NULL", "7, '2024-01-04'"])
    refused = trial.reading.run("keyless", options, state)
    skipped = trial.reading.run("keyless", {**options, "on_null_replication_key": "skip"}, state)
    wrong = "" if "have no value in replication key" in refused.error else f"it is not refused: {refused.error or 'no error'}"
    notes = skipped.loads["keyless"].document.notes if "keyless" in skipped.loads else [skipped.error]
    wrong = wrong or ("" if any("1 rows without a value in c are left out" in note for note in notes) else "; ".join(notes))
    yield told("NULLs without a key", wrong, "refused, or left out and counted where that is asked for")


def _where(trial: Trial) -> Outcomes:
    trial.place.table("filtered", "id int NOT NULL PRIMARY KEY, s nvarchar(9) NULL", [f"{n}, N'{n % 3}'" for n in range(30)])
    where = "s = N'1' OR id > 27"
    ran = trial.reading.over(range_rows=4).run("filtered", {"where": where})
    right = [n for (n,) in trial.place.rows(f"SELECT id FROM {SCHEMA}.filtered WHERE {where} ORDER BY id")]
    load = ran.loads.get("filtered")
    wrong = ran.error if load is None else "" if load.column("id") == right else f"{load.column('id')} and not {right}"
    yield told("where", wrong, f"the {len(right)} rows that meet it, counted and read")
