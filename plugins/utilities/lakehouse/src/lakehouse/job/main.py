"""The conversion: staged Parquet parts to Delta tables, checked, then one ledger row per load.

    job.py --stage STAGE --target TARGET --order FILE --order-sha256 HEX [--check-only | --figures]
           [--lease-seconds N] [--lease-wait N]

Sent as one file (lakehouse.job_file) to Databricks (DBR 13.3 and later), open-source Spark with Delta, or Sail: DataFrames,
SQL and the standard library. FILE, relative to STAGE, is JSON:

    {"target": "as configured", "verify": "full or write", "row_columns": ["_loaded_at"…], "upkeep": {"optimize_every": 0…},
     "staged": [load ids on the stage],
     "loads": [{"manifest": "path relative to STAGE", "sha256": "of the manifest", "again": "sent a second time?",
                and of the manifest: "load_id", "source", "stream", "table", "mode", "rows", "source_rows"}]}

The job takes the target's lease, then each stream's loads in their order: parts proven byte by byte, data written, Delta
recomputed against the manifest, ledger row. The ledger row is the commit; a load that has one is passed over. Killed anywhere,
the job may run again: whatever it repeats leaves the same rows. A load that cannot be applied is refused, with its reason, in
the ledger, and stops nothing but itself. What happened is published under STAGE/_published; exit code 1 when a load was not
applied. Manifest, ledger, lease and published document: docs/contracts.md.

With --figures the order has `tables` in place of `loads`: what they hold is published under STAGE/_figures, and nothing written.
"""

from __future__ import annotations

import argparse
import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.clock import utc_now
from lakehouse.job.errors import LeaseLost
from lakehouse.job.figures import figures_document
from lakehouse.job.lease import Lease
from lakehouse.job.ledger import Ledger
from lakehouse.job.loads import Load, read_loads, read_order
from lakehouse.job.outcome import Outcome, outcome_of, outcome_of_missing
from lakehouse.job.published import document_of, publish
from lakehouse.job.session import FOR_FEW_ROWS, SETTINGS, configure, die_if_asked, own_session
from lakehouse.job.streams import StreamLoads
from lakehouse.job.tables import Target
from lakehouse.job.upkeep import Upkeep
from lakehouse.job.writer import Writer

PUBLISH_EVERY_S = 30.0  # between two published documents while loads go on
STREAMS_AT_ONCE = 4
LEASE_S = float(os.environ.get("LAKEHOUSE_LEASE_SECONDS", "600"))  # how long a lease holds without being renewed
GOOD = ("applied", "already", "superseded")


@dataclass
class Run:
    """One order on its way; what is known of its loads can be published at any time."""

    spark: SparkSession
    stage: str
    order: dict[str, Any]
    ledger: Ledger
    told: list[Outcome]
    streams: list[StreamLoads] = field(default_factory=list)

    @property
    def outcomes(self) -> list[Outcome]:
        """What is known so far."""
        return [*self.told, *(outcome for each in list(self.streams) for outcome in list(each.outcomes.values()))]

    def publish(self) -> None:
        """Publishes it."""
        publish(self.spark, self.stage, self.order["id"], document_of(self.order, self.ledger, self.outcomes))

    def work(self, target: str, lease: Lease, loads: list[Load], step: Callable[[StreamLoads], None]) -> None:
        """Does a step for each stream's loads, of some streams at once; publishes now and then."""
        verify, row_columns = str(self.order.get("verify", "full")), list(self.order.get("row_columns", ()))
        upkeep, owners = Upkeep.of(self.order), self.ledger.owners(loads)
        of_thread = threading.local()  # a session costs time: each thread makes one, whatever the number of streams

        def work_on(of_stream: list[Load]) -> None:
            if not hasattr(of_thread, "writer"):
                session, own = own_session(self.spark)
                of_thread.writer = Writer(session, own, Target(session, target), lease, verify, row_columns, upkeep)
            mine = StreamLoads(of_thread.writer, self.ledger, of_stream, owners)
            self.streams.append(mine)
            step(mine)

        with ThreadPoolExecutor(STREAMS_AT_ONCE) as pool:
            left = {pool.submit(work_on, of_stream) for of_stream in by_stream(loads)}
            while left:
                done, left = wait(left, PUBLISH_EVERY_S, FIRST_EXCEPTION)
                for each in done:
                    each.result()
                if left:
                    self.publish()


def run(spark: SparkSession, options: argparse.Namespace) -> list[Outcome]:
    """Applies (or only checks) the loads of the order; one outcome per load."""
    stage, where = options.stage.rstrip("/"), options.target.rstrip("/")
    order = read_order(spark, stage, options.order, options.order_sha256)
    die_if_asked("order-read")
    target = Target(spark, where)
    loads, missing = read_loads(spark, stage, order["loads"])
    told = [outcome_of_missing(each) for each in missing]
    owner = f"order {order['id']} of {utc_now():%Y-%m-%d %H:%M:%S} UTC, {uuid.uuid4()}"
    house, _ = own_session(spark, FOR_FEW_ROWS)
    lease = Lease(house, Target(house, where), owner, options.lease_seconds)

    def begun() -> Run:
        return Run(spark, stage, order, Ledger(house, Target(house, where)), told)

    if options.check_only:
        whole = begun()
        whole.work(where, lease, loads, StreamLoads.check)
        whole.publish()
        return whole.outcomes
    target.prepare()
    holder = lease.take(options.lease_wait)
    if holder:
        busy = LeaseLost(f"another job writes into this target: {holder}", "convert again when it has ended")
        told += [outcome_of(load, busy) for load in loads]
        begun().publish()
        return told
    die_if_asked("lease-taken")
    whole = begun()
    whole.ledger.prepare()
    die_if_asked("ledger-made")
    whole.publish()
    die_if_asked("published-first")
    whole.work(where, lease, loads, StreamLoads.apply)
    whole.ledger.compact()
    die_if_asked("ledger-compacted")
    whole.publish()
    die_if_asked("published-last")
    lease.give_back()
    die_if_asked("lease-given-back")
    return whole.outcomes


def tell_figures(spark: SparkSession, options: argparse.Namespace) -> None:
    """Publishes what the order's tables hold."""
    stage = options.stage.rstrip("/")
    order = read_order(spark, stage, options.order, options.order_sha256)
    document = figures_document(order, Target(spark, options.target.rstrip("/")))
    publish(spark, stage, order["id"], document, "_figures")


def by_stream(loads: list[Load]) -> list[list[Load]]:
    """The loads of each stream, in their order."""
    found: dict[tuple[str, str], list[Load]] = {}
    for load in loads:
        found.setdefault(load.stream, []).append(load)
    return list(found.values())


def main() -> None:
    """Parses the command line, runs, and exits with 1 when a load failed."""
    parser = argparse.ArgumentParser(description="Applies staged loads to Delta tables.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--order", required=True)
    parser.add_argument("--order-sha256", required=True)
    parser.add_argument("--check-only", action="store_true")
    parser.add_argument("--figures", action="store_true")
    parser.add_argument("--lease-seconds", type=float, default=LEASE_S)
    parser.add_argument("--lease-wait", type=float, default=LEASE_S + 10)
    options = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    configure(spark, SETTINGS)
    if options.figures:
        tell_figures(spark, options)
        return
    outcomes = run(spark, options)
    bad = [each for each in outcomes if each.status not in GOOD]
    if bad:
        raise SystemExit(f"{len(bad)} of {len(outcomes)} loads were not applied; their bookmarks stay.")
    print(f"{len(outcomes)} loads done.")


if __name__ == "__main__":
    main()
