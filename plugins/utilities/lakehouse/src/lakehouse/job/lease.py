"""The lease: who may write into a target (docs/contracts.md, Lease). Delta's own concurrency control decides between two."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.clock import UTC, utc_now
from lakehouse.job.errors import LeaseLost
from lakehouse.job.session import cause_of
from lakehouse.job.tables import Target

LEASE = "_lease"
LEASE_SCHEMA = "name string, owner string, taken_at timestamp, expires_at timestamp, fence bigint"
NAME = "writer"
POLL_S = 1.0  # between two looks at a lease that another one holds


class Lease:
    """One job's hold on a target, for `seconds` at a time; renewed in the background while it is held."""

    def __init__(self, spark: SparkSession, target: Target, owner: str, seconds: float) -> None:
        self._spark, self._target, self.owner, self._seconds = spark, target, owner, seconds
        self._given_back = threading.Event()
        self._lost = ""
        self._until = 0.0  # of the monotonic clock
        self._turn = threading.Lock()

    def take(self, wait_s: float) -> str:
        """Takes the lease: "" when it is held now, else who holds it and until when, after waiting `wait_s` seconds."""
        if not self._target.fields(LEASE):
            try:
                self._target.append(self._spark.createDataFrame([], LEASE_SCHEMA), LEASE, {"userMetadata": "lease"})
            except Exception as error:  # another one made it in the same moment
                print(f"lease: {cause_of(error)}")
        until = time.monotonic() + wait_s
        while True:
            row = self._row()
            if row is None or row["owner"] in (None, self.owner) or ended(row):
                self._write(
                    "t.owner IS NULL OR t.expires_at < s.taken_at OR t.owner = s.owner",
                    "t.owner = s.owner, t.taken_at = s.taken_at, t.expires_at = s.expires_at, t.fence = t.fence + 1",
                )
                row = self._row()
            if row and row["owner"] == self.owner:
                threading.Thread(target=self._keep, daemon=True).start()
                return ""
            if time.monotonic() > until:
                return (
                    f"{row['owner']} holds it since {row['taken_at']} until {row['expires_at']} UTC"
                    if row
                    else "nobody can be read"
                )
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raises LeaseLost where the lease is another one's, or has run out. Called before each write."""
        if time.monotonic() > self._until - self._seconds / 3:
            self._renew()
        if time.monotonic() > self._until:
            self._lost = self._lost or "the lease could not be renewed in time"
        if self._lost:
            raise LeaseLost(f"another job writes into this target: {self._lost}", "wait until it has ended, and convert again")

    def give_back(self) -> None:
        """Ends the hold; another one need not wait until it runs out."""
        self._given_back.set()
        with self._turn:
            self._write("t.owner = s.owner", "t.owner = NULL, t.expires_at = s.taken_at")

    def _keep(self) -> None:
        while not self._given_back.wait(self._seconds / 3):
            self._renew()

    def _renew(self) -> None:
        with self._turn:
            if self._given_back.is_set() or self._lost:
                return
            self._write("t.owner = s.owner", "t.expires_at = s.expires_at")
            row = self._row()
            if row is None or row["owner"] != self.owner:
                self._lost = f"{row['owner']} since {row['taken_at']}" if row else "the lease is gone"

    def _write(self, condition: str, sets: str) -> None:
        """One conditional commit; one that lost against another commit has done nothing, and the row says so."""
        begun = time.monotonic()
        now = utc_now()
        row = (NAME, self.owner, now, now + timedelta(seconds=self._seconds), 1)
        self._spark.createDataFrame([row], LEASE_SCHEMA).createOrReplaceTempView("_lease_row")
        try:
            self._spark.sql(
                f"MERGE INTO {self._target.sql(LEASE)} t USING _lease_row s ON t.name = s.name "
                f"WHEN MATCHED AND ({condition}) THEN UPDATE SET {sets} "
                "WHEN NOT MATCHED THEN INSERT (name, owner, taken_at, expires_at, fence) "
                "VALUES (s.name, s.owner, s.taken_at, s.expires_at, s.fence)"
            ).collect()
        except Exception as error:
            print(f"lease: {cause_of(error)}")
            return
        self._until = begun + self._seconds

    def _row(self) -> dict[str, Any] | None:
        rows = self._target.read(LEASE).where(f"name = '{NAME}'").collect()
        return dict(rows[0].asDict()) if rows else None


def ended(row: dict[str, Any]) -> bool:
    """Whether a lease has run out."""
    moment: datetime = row["expires_at"]
    return moment.replace(tzinfo=moment.tzinfo or UTC) < utc_now()
