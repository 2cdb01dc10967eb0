"""The lease: who may write into a target (docs/contracts.md, Lease). Delta's own concurrency control decides between two."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.clock import utc_now
from lakehouse.job.errors import LeaseLost
from lakehouse.job.session import cause_of, die_if_asked
from lakehouse.job.tables import Target
from lakehouse.job.values import values

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
        until = time.monotonic() + wait_s
        if not self._target.fields(LEASE):
            self._make()
        while True:
            now = utc_now()
            free = f"owner IS NULL OR expires_at < {sql_of(now)}"
            if self._update(f"owner = {text(self.owner)}, taken_at = {sql_of(now)}, fence = fence + 1", free):
                threading.Thread(target=self._keep, daemon=True).start()
                return ""
            row = self._row()
            if row is None and self._make():
                continue
            if time.monotonic() > until:
                return (
                    f"{row['owner']} holds it since {row['taken_at']} until {row['expires_at']} UTC"
                    if row
                    else "it cannot be read"
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
            self._update("owner = NULL", self._mine)

    @property
    def condition(self) -> str:
        """SQL that is true while the lease is held, asked when a statement runs."""
        return f"EXISTS (SELECT 1 FROM {self._target.sql(LEASE)} WHERE name = '{NAME}' AND {self._mine})"

    @property
    def _mine(self) -> str:
        return f"owner = {text(self.owner)}"

    def _keep(self) -> None:
        while not self._given_back.wait(self._seconds / 3):
            self._renew()

    def _renew(self) -> None:
        with self._turn:
            if self._given_back.is_set() or self._lost or self._update("fence = fence", self._mine):
                return
            row = self._row()
            if row is None or row["owner"] != self.owner:
                self._lost = f"{row['owner']} since {row['taken_at']}" if row else "the lease is gone"

    def _update(self, sets: str, condition: str) -> bool:
        """One conditional commit, which also sets when the lease runs out; whether it was done.

        Delta refuses it where another commit came in between.
        """
        begun = time.monotonic()
        expires = sql_of(utc_now() + timedelta(seconds=self._seconds))
        table = self._target.sql(LEASE)
        statement = f"UPDATE {table} SET {sets}, expires_at = {expires} WHERE name = '{NAME}' AND ({condition})"
        try:
            done = int(self._spark.sql(statement).collect()[0][0]) > 0
        except Exception as error:
            print(f"lease: {cause_of(error)}")
            return False
        if done:
            self._until = begun + self._seconds
        return done

    def _make(self) -> bool:
        """Makes what is missing of the table and its row; whether it is there then. Of two who do so at once, Delta lets one."""
        row = (NAME, None, utc_now(), utc_now(), 0)
        try:
            if not self._target.fields(LEASE):
                self._target.append(values(self._spark, [], LEASE_SCHEMA), LEASE, {"userMetadata": "lease"})
                die_if_asked("lease-table-made")
            values(self._spark, [row], LEASE_SCHEMA).createOrReplaceTempView("_lease_row")
            self._spark.sql(
                f"MERGE INTO {self._target.sql(LEASE)} t USING _lease_row s ON t.name = s.name WHEN NOT MATCHED THEN "
                "INSERT (name, owner, taken_at, expires_at, fence) VALUES (s.name, s.owner, s.taken_at, s.expires_at, s.fence)"
            ).collect()
        except Exception as error:
            print(f"lease: {cause_of(error)}")
        return self._row() is not None

    def _row(self) -> dict[str, Any] | None:
        rows = self._target.read(LEASE).where(f"name = '{NAME}'").collect()
        return dict(rows[0].asDict()) if rows else None


def sql_of(moment: datetime) -> str:
    """A moment in SQL."""
    return f"TIMESTAMP'{moment:%Y-%m-%d %H:%M:%S.%f}Z'"


def text(value: str) -> str:
    """Text in SQL; owners are made of letters, digits and punctuation without quotes."""
    return f"'{value}'"
