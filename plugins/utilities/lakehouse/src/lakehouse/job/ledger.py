"""The ledger: the Delta table whose rows say what became of loads for good (docs/contracts.md, Ledger)."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.clock import utc_now
from lakehouse.job.loads import Load
from lakehouse.job.order import Applied, is_reached, key_of, value_of
from lakehouse.job.session import die_if_asked
from lakehouse.job.tables import Target
from lakehouse.job.types import quoted
from lakehouse.job.values import values

LEDGER = "_loads"
LEDGER_SCHEMA = (
    "load_id string, manifest_sha256 string, source string, stream string, table_name string, mode string, "
    "rows bigint, source_rows bigint, delta_rows bigint, delta_version bigint, bookmark string, committed_at timestamp, "
    "ledger string, status string, reason string, columns string, dead_letters bigint, left_out bigint, deletes bigint"
)
FILES = 24  # rows, of which each may be a file: so many are written together
LOST = "the table that it continues is gone or was made anew"
NAMES = [each.split()[0] for each in LEDGER_SCHEMA.split(", ")]
Row = dict[str, Any]


class Ledger:
    """The ledger's rows. Threads may write into it at the same time: what waits is written together."""

    def __init__(self, spark: SparkSession, target: Target) -> None:
        self._spark, self._target = spark, target
        self._rows: dict[str, Row] = {}
        self._there = target.fields(LEDGER)
        if self._there:
            names = [name for name in NAMES if name in self._there]
            for row in target.read(LEDGER).select(*map(quoted, names)).collect():
                self._rows[row["load_id"]] = dict.fromkeys(NAMES) | row.asDict()
        known = next((row["ledger"] for row in self._rows.values() if row["ledger"]), None)
        self.id = str(known or uuid.uuid4())
        self._first = len(self._rows)
        self._waiting: list[Row] = []
        self._queue, self._writing = threading.Lock(), threading.Lock()

    def prepare(self) -> None:
        """Makes the table, or adds the columns that an older one lacks."""
        if any(name not in self._there for name in NAMES):
            self._target.append(values(self._spark, [], LEDGER_SCHEMA), LEDGER, {"userMetadata": "ledger"})

    @property
    def rows(self) -> list[Row]:
        """Its rows, oldest load first."""
        return sorted(self._rows.values(), key=lambda row: str(row["load_id"]))

    def row_of(self, load: Load) -> Row | None:
        """The row of a load, None for one that it says nothing of."""
        return self._rows.get(load.load_id)

    def applied(self, stream: tuple[str, str]) -> Applied:
        """What is applied of a stream."""
        found = Applied()
        for row in self.rows:
            if (row["source"], row["stream"]) == stream and status_of(row) == "applied":
                whole = row["load_id"] if row["mode"] == "overwrite" else found.last_whole
                kept = None if row["mode"] == "overwrite" else found.bookmark
                found = Applied(row["load_id"], whole, json.loads(row["bookmark"]) if row["bookmark"] else kept)
        return found

    def last_row(self, stream: tuple[str, str]) -> Row | None:
        """The row of the newest applied load of a stream."""
        last = self.applied(stream).last
        return self._rows[last] if last else None

    def is_lost(self, row: Row) -> bool:
        """Whether the table of an applied load is gone, or younger than it."""
        if not self._target.fields(row["table_name"]):
            return True
        known, now = row["delta_version"], self._target.version(row["table_name"])
        return known is not None and now is not None and now < known

    def bookmarks(self) -> dict[str, dict[str, Any]]:
        """The bookmarks by source and stream; none of a stream whose newest whole load came without one, nor of one whose table
        was found lost and not read whole since."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            streams = found.setdefault(row["source"], {})
            if status_of(row) == "applied" and row["bookmark"]:
                streams[row["stream"]] = json.loads(row["bookmark"])
            elif status_of(row) == "applied" and row["mode"] == "overwrite":
                streams.pop(row["stream"], None)  # it holds rows behind what an earlier load by another method had come to
            elif status_of(row) == "applied":
                streams.get(row["stream"], {}).pop("again", None)  # a repair or a backfill: rows may be others than they were
            elif status_of(row) == "refused" and str(row["reason"]).startswith(LOST):
                streams.pop(row["stream"], None)
        return {source: streams for source, streams in sorted(found.items()) if streams}

    def compact(self) -> None:
        """Writes the table anew as one file once it has become many: each time so many rows more."""
        if self._first // FILES != len(self._rows) // FILES:
            die_if_asked("ledger-compacting")
            self._target.replace(self._target.read(LEDGER).coalesce(1), LEDGER, {"userMetadata": "compacted"})

    def commit(self, rows: list[Row]) -> None:
        """Writes rows durably; on return these rows stand, together with what other threads had waiting."""
        with self._queue:
            self._waiting += rows
        with self._writing:
            with self._queue:
                batch, self._waiting = self._waiting, []
            if batch:
                self._write(batch)
        die_if_asked("ledger-written")

    def row(
        self, load: Load, status: str, delta_rows: int | None = None, reason: str | None = None, version: int | None = None
    ) -> Row:
        """The row of a load, to be committed."""
        m = load.manifest
        told = (
            m["load_id"], load.sha256, m["source"], m["stream"], m["table"], m["mode"], m["rows"], m["source_rows"], delta_rows,
            version, None if m["bookmark"] is None else json.dumps(m["bookmark"], sort_keys=True), utc_now(), self.id, status,
            reason, json.dumps({each["column"]: each["type"] for each in load.columns}),
            m.get("dead_letters", 0), m.get("left_out", 0), load.deletes,
        )  # fmt: skip
        return dict(zip(NAMES, told, strict=True))

    def superseded(self, load: Load) -> list[Row]:
        """The refused loads of a stream that a load, now applied, covers: their rows as they are from then on."""
        found = []
        for row in self._rows.values():
            if (row["source"], row["stream"]) != load.stream or status_of(row) != "refused" or row["load_id"] >= load.load_id:
                continue
            bookmark = json.loads(row["bookmark"]) if row["bookmark"] else {}
            mine = load.manifest["bookmark"]
            value, now = value_of(bookmark), value_of(mine)
            alike = key_of(bookmark) == key_of(mine) and None not in (value, now)
            covers = alike and load.manifest["cursor"] and is_reached(load, value, now)
            if load.mode == "overwrite" or covers or load.mode == row["mode"] == "repair":
                found.append(row | {"status": "superseded", "reason": f"covered by load {load.load_id}; {row['reason']}"})
        return found

    def _write(self, rows: list[Row]) -> None:
        view = "_ledger_rows"
        frame = values(self._spark, [[row[name] for name in NAMES] for row in rows], LEDGER_SCHEMA)
        frame.coalesce(1).createOrReplaceTempView(view)
        columns, given = ", ".join(map(quoted, NAMES)), ", ".join(f"s.{quoted(name)}" for name in NAMES)
        sets = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in NAMES)
        die_if_asked("ledger-waiting")
        self._spark.sql(
            f"MERGE INTO {self._target.sql(LEDGER)} t USING {view} s ON t.load_id = s.load_id "
            f"WHEN MATCHED AND t.status = 'refused' THEN UPDATE SET {sets} "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({given})"
        ).collect()
        for row in rows:
            self._rows[row["load_id"]] = row


def status_of(row: Row) -> str:
    """The status of a ledger row; older versions wrote none, and a row without rows in Delta for what was superseded."""
    if row["status"]:
        return str(row["status"])
    return "superseded" if row["delta_rows"] is None else "applied"


def columns_of(row: Row | None) -> list[str]:
    """The columns, in Delta, of the load of a row."""
    return list(json.loads(row["columns"])) if row and row["columns"] else []
