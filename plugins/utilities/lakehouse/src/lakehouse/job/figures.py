"""Figures of tables, range by range, for reconcile: nothing is written (docs/contracts.md, Reconcile)."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.job.clock import utc_now
from lakehouse.job.facts import fact_sql, fact_text
from lakehouse.job.rows import DELETED_AT
from lakehouse.job.session import cause_of
from lakehouse.job.tables import Target
from lakehouse.job.types import quoted, spare, type_family
from lakehouse.job.windows import upper_sql

RANGE = "range number"  # with a space, no column in Delta has the name


def figures_document(order: dict[str, Any], target: Target) -> dict[str, Any]:
    """What the order's tables hold; what stands in the way of one is its `problem`, and stops no other."""
    tables = []
    for asked in order["tables"]:
        named = {name: asked[name] for name in ("stream", "table")}
        try:
            tables.append({**named, "ranges": range_figures(target, asked), "problem": ""})
        except MissingInDelta as error:
            tables.append({**named, "ranges": [], "problem": str(error)})
        except Exception as error:
            print(f"{asked['table']}: {type(error).__name__}: {error}", flush=True)
            tables.append({**named, "ranges": [], "problem": cause_of(error)})
    return {
        "version": 1,
        "published_at": utc_now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "order": order["id"],
        "target": order["target"],
        "tables": tables,
    }


class MissingInDelta(Exception):
    """A table, or columns of it, that Delta does not have."""


def range_figures(target: Target, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of a table's ranges, in one pass over it. Raises MissingInDelta."""
    there = {name.lower() for name in target.fields(asked["table"])}
    if not there:
        raise MissingInDelta(f"there is no table {asked['table']}")
    missing = [each["column"] for each in asked["columns"] if each["column"].lower() not in there]
    if missing:
        raise MissingInDelta(f"the table has no column {', '.join(missing)}")
    plan = [(c, figure, figure_sql(c["column"], c["type"])[figure]) for c in asked["columns"] for figure in c["figures"]]
    frame = numbered(not_deleted(target.read(asked["table"]), asked), asked)
    aggregates = [F.count(F.lit(1)).alias("n"), *(F.expr(sql).alias(f"f{at}") for at, (_, _, sql) in enumerate(plan))]
    found = {int(row[RANGE]): row.asDict() for row in frame.groupBy(RANGE).agg(*aggregates).collect()}
    nothing = {"n": 0} | {f"f{at}": 0 if figure == "non_null" else None for at, (_, figure, _) in enumerate(plan)}
    ranges = []
    for number in range(len(asked["bounds"]) + 1):
        row = found.get(number, nothing)
        columns: dict[str, dict[str, str | None]] = {each["name"]: {} for each in asked["columns"]}
        for at, (column, figure, _) in enumerate(plan):
            columns[column["name"]][figure] = fact_text(row[f"f{at}"], column["type"], "sum" if figure == "hash" else figure)
        ranges.append({"rows": int(row["n"]), "columns": columns})
    return ranges


def not_deleted(frame: DataFrame, asked: dict[str, Any]) -> DataFrame:
    """The table without the rows that are marked as deleted at the source, where a stream's are."""
    mark = spare(DELETED_AT, (each["column"] for each in asked["columns"]))
    if asked.get("on_delete") != "mark" or mark not in frame.columns:
        return frame
    return frame.where(F.col(quoted(mark)).isNull())


def numbered(frame: DataFrame, asked: dict[str, Any]) -> DataFrame:
    """The table with the number of each row's range; rows without a key are in the first one."""
    if not asked["bounds"]:
        return frame.withColumn(RANGE, F.lit(0))
    key = asked["key"]
    name = quoted(key["column"])
    cases = [f"WHEN {upper_sql(name, key['type'], bound)} THEN {number}" for number, bound in enumerate(asked["bounds"])]
    sql = f"CASE WHEN {name} IS NULL THEN 0 {' '.join(cases)} ELSE {len(cases)} END"
    return frame.withColumn(RANGE, F.expr(sql))


def figure_sql(column: str, arrow: str) -> dict[str, str]:
    """SQL of every figure of a column: its facts, and of text and bytes the sum of its values' hashes."""
    figures = fact_sql(column, arrow)
    if type_family(arrow) not in ("string", "binary"):
        return figures
    value = quoted(column) if type_family(arrow) == "binary" else f"encode({quoted(column)}, 'UTF-16LE')"
    number = f"conv(substr(sha2({value}, 256), 1, 12), 16, 10)"
    return figures | {"hash": f"sum(cast({number} as decimal(20, 0)))"}
