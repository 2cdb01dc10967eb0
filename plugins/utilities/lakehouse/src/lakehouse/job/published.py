"""What the job publishes (docs/contracts.md, Published document)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.job.clock import utc_now
from lakehouse.job.ledger import Ledger, Row, status_of
from lakehouse.job.outcome import Outcome
from lakehouse.job.values import values

NAMED = ("load_id", "source", "stream", "mode", "rows", "source_rows")
BESIDES = ("dead_letters", "left_out", "deletes")  # what is not among a load's rows


def document_of(order: dict[str, Any], ledger: Ledger, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Bookmarks and loads of the ledger, and what became of this order's loads."""
    rows = ledger.rows
    newest = {(row["source"], row["stream"]): row["load_id"] for row in rows if status_of(row) == "applied"}
    staged = set(order["staged"])
    refused = [row for row in rows if status_of(row) == "refused" and row["load_id"] in staged]
    told = [*(row for row in rows if row["load_id"] in newest.values()), *refused]
    loads = {row["load_id"]: _of_ledger(row) for row in told}
    for outcome in outcomes:
        loads[outcome.load_id] = {
            **{name: outcome.told[name] for name in (*NAMED, "table")},
            "delta_rows": outcome.delta_rows, "status": outcome.status, "equal": outcome.equal, "problems": outcome.problems,
            "action": outcome.action, "table_rows": outcome.table_rows,
            **{name: outcome.told.get(name) or 0 for name in BESIDES},
        }  # fmt: skip
    done = {row["load_id"] for row in rows if status_of(row) != "refused"}
    return {
        "version": 1,
        "published_at": utc_now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "order": order["id"],
        "target": order["target"],
        "ledger": ledger.id,
        "bookmarks": ledger.bookmarks(),
        "loads": list(loads.values()),
        "committed": sorted(done & staged),
    }


def _of_ledger(row: Row) -> dict[str, Any]:
    refused = status_of(row) == "refused"
    return {name: row[name] for name in (*NAMED, "delta_rows")} | {
        "table": row["table_name"],
        "status": "refused" if refused else "already",
        "equal": None if refused else True,
        "problems": [str(row["reason"])] if refused else [],
        "action": f"entrypoint.sh drop {row['load_id']}" if refused else "",
        "table_rows": None,
        **{name: row[name] or 0 for name in BESIDES},
    }


def publish(spark: SparkSession, stage: str, job: str, content: dict[str, Any], folder: str = "_published") -> None:
    """Writes the document as one line into a folder of its own; the newest folder counts."""
    now = utc_now().strftime("%Y%m%dT%H%M%S%fZ")
    line = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    values(spark, [(line,)], "value string").coalesce(1).write.text(f"{stage}/{folder}/{now}-{job}")
