"""Spark sessions: settings, one of its own for each thread, and what an engine's error says."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    # INT96, the default, is nanoseconds to many readers: they overflow before 1678 and after 2262.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    # Each commit puts a table's list of files together in so many tasks; Delta's own 50 are for millions of files.
    "spark.databricks.delta.snapshotPartitions": "8",
}
# Of the session for lease and ledger: tables of a few rows, of which Spark and Delta would make 50 pieces and more, and whose
# statements, each with values of its own, it would compile.
FOR_FEW_ROWS = {
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}


def configure(spark: SparkSession, settings: dict[str, str]) -> None:
    """Sets what the engine lets us set; serverless compute refuses some, and their defaults are right there."""
    for name, value in settings.items():
        try:
            spark.conf.set(name, value)
        except Exception as error:
            print(f"setting {name}: {cause_of(error)}")


def own_session(spark: SparkSession, settings: Mapping[str, str] = MappingProxyType({})) -> tuple[SparkSession, bool]:
    """A session with settings and views of its own, for a thread or a task; else the same one, and False (Connect)."""
    try:
        mine = spark.newSession()
    except Exception:
        return spark, False
    configure(mine, SETTINGS | dict(settings))
    return mine, True


def cause_of(error: BaseException) -> str:
    """What went wrong, in the words of the innermost cause: the first line of an engine's error often names only the call."""
    java = getattr(error, "java_exception", None)
    if java is not None:
        while java.getCause() is not None:
            java = java.getCause()
        text = str(java.getMessage() or java.toString())
    else:
        text = str(error)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]


def die_if_asked(point: str) -> None:
    """Dies at once where a test asks for it, or waits for a file (LAKEHOUSE_HOLD=point:file), as a job does that is only slow."""
    if os.environ.get("LAKEHOUSE_CRASH") == point:
        sys.stdout.flush()
        os._exit(9)
    held, _, file = os.environ.get("LAKEHOUSE_HOLD", "").partition(":")
    if held == point:
        Path(file + ".reached").touch()
        while not Path(file).exists():
            time.sleep(0.05)
