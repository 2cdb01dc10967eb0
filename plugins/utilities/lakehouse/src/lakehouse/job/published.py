"""What the job publishes (docs/contracts.md, Published document)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.ledger import UTC
from lakehouse.job.outcome import Outcome


def document_of(order: dict[str, Any], ledger: list[dict[str, Any]], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What is published: bookmarks and loads of the ledger, and what became of this order's loads."""
    newest = {(row["source"], row["stream"]): row for row in sorted(ledger, key=lambda row: str(row["load_id"]))}
    bookmarks: dict[str, dict[str, Any]] = {}
    loads: dict[str, dict[str, Any]] = {}
    for (source, stream), row in sorted(newest.items()):
        if row["bookmark"]:
            bookmarks.setdefault(source, {})[stream] = json.loads(row["bookmark"])
        names = ("load_id", "source", "stream", "mode", "rows", "source_rows", "delta_rows")
        loads[row["load_id"]] = {name: row[name] for name in names} | {
            "table": row["table_name"], "status": "already", "equal": True, "problems": []}  # fmt: skip
    for outcome in outcomes:
        m = outcome.load.manifest
        loads[outcome.load.load_id] = {
            **{name: m[name] for name in ("load_id", "source", "stream", "table", "mode", "rows", "source_rows")},
            "delta_rows": outcome.delta_rows, "status": outcome.status, "equal": outcome.equal, "problems": outcome.problems,
        }  # fmt: skip
    return {
        "version": 1,
        "published_at": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "order": order["id"],
        "target": order["target"],
        "bookmarks": bookmarks,
        "loads": list(loads.values()),
        "committed": sorted({row["load_id"] for row in ledger} & set(order["staged"])),
    }


def publish(spark: SparkSession, stage: str, job: str, content: dict[str, Any]) -> None:
    """Writes the document as one line into a folder of its own; the newest folder counts."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    line = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    spark.createDataFrame([(line,)], "value string").coalesce(1).write.text(f"{stage}/_published/{now}-{job}")
