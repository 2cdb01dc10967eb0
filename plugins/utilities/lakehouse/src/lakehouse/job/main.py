"""The conversion: staged Parquet parts to Delta tables, checked, then one ledger row per load.

    job.py --stage STAGE --target TARGET --order FILE --order-sha256 HEX [--check-only]

Sent as one file (lakehouse.job_file) to Databricks (DBR 13.3 and later), open-source Spark with Delta, or Sail: DataFrames,
SQL and the standard library. FILE, relative to STAGE, is JSON:

    {"target": "as configured", "staged": [load ids on the stage],
     "loads": [{"manifest": "path relative to STAGE", "sha256": "of the manifest"}]}

Each load: manifest checked, parts recomputed against the manifest, data written, Delta recomputed against the manifest,
ledger row. The ledger row is the commit; a load that has one is skipped. Killed anywhere, the job may run again:
overwrite and merge repeat harmlessly, an append is found by its `_load_id`. What happened is published under
STAGE/_published; exit code 1 when a load failed. Manifest, ledger and published document: docs/contracts.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from pyspark.sql import SparkSession

from lakehouse.job.converter import Converter
from lakehouse.job.errors import Refused
from lakehouse.job.ledger import LEDGER, LEDGER_SCHEMA, Ledger
from lakehouse.job.loads import Load, read_loads, read_order
from lakehouse.job.outcome import Outcome
from lakehouse.job.published import document_of, publish
from lakehouse.job.session import configure
from lakehouse.job.tables import Target

PUBLISH_EVERY_S = 30.0  # between two published documents while loads go on


def run(spark: SparkSession, options: argparse.Namespace) -> list[Outcome]:
    """Applies (or only checks) the loads of the order; one outcome per load, oldest load first."""
    stage = options.stage.rstrip("/")
    order = read_order(spark, stage, options.order, options.order_sha256)
    order["id"] = options.order_sha256[:12]
    target = Target(spark, options.target.rstrip("/"))
    target.prepare()
    if not options.check_only:
        target.ensure(LEDGER, spark.createDataFrame([], LEDGER_SCHEMA).schema, "ledger")
    ledger = Ledger(spark, target)
    converter = Converter(spark, target, ledger)
    loads, missing = read_loads(spark, stage, order["loads"])
    if missing:
        raise SystemExit(f"Not on the stage, or changed there: {', '.join(missing)}. Nothing was done; upload again.")
    outcomes: list[Outcome] = []
    publish(spark, stage, order["id"], document_of(order, ledger.rows, outcomes))
    published = time.monotonic()
    blocked: set[tuple[str, str]] = set()
    for load in loads:
        began = time.monotonic()
        if load.stream in blocked:
            outcome = Outcome(load, "failed", None, None, ["an earlier load of this stream failed"])
        else:
            outcome = outcome_of(converter.check if options.check_only else converter.apply, load)
        if outcome.status == "failed" and load.manifest["mode"] != "overwrite":
            blocked.add(load.stream)
        outcomes.append(outcome)
        told = "; ".join(outcome.problems) or f"{outcome.delta_rows} rows in Delta"
        seconds = time.monotonic() - began
        print(f"{outcome.status}: {load.load_id} {load.manifest['table']}: {told} ({seconds:.1f} s)", flush=True)
        if time.monotonic() - published > PUBLISH_EVERY_S:
            publish(spark, stage, order["id"], document_of(order, ledger.rows, outcomes))
            published = time.monotonic()
    publish(spark, stage, order["id"], document_of(order, ledger.rows, outcomes))
    return outcomes


def outcome_of(step: Callable[[Load], Outcome], load: Load) -> Outcome:
    """One load's failure is that load's: the others go on."""
    try:
        return step(load)
    except Refused as refused:
        return Outcome(load, "failed", None, None, [str(refused)])
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        print(f"{load.load_id}: {type(error).__name__}: {text}", flush=True)
        return Outcome(load, "failed", None, None, [text.splitlines()[0][:500]])


def main() -> None:
    """Parses the command line, runs, and exits with 1 when a load failed."""
    parser = argparse.ArgumentParser(description="Applies staged loads to Delta tables.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--order", required=True)
    parser.add_argument("--order-sha256", required=True)
    parser.add_argument("--check-only", action="store_true")
    options = parser.parse_args()
    spark = SparkSession.builder.getOrCreate()
    configure(
        spark,
        {
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
            # INT96, the default, is nanoseconds to many readers: they overflow before 1678 and after 2262.
            "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
            "spark.databricks.delta.schema.autoMerge.enabled": "false",
        },
    )
    outcomes = run(spark, options)
    failed = [each for each in outcomes if each.status == "failed"]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(outcomes)} loads failed: no ledger row for them, their bookmarks stay.")
    print(f"{len(outcomes)} loads done.")


if __name__ == "__main__":
    main()
