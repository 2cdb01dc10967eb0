"""Facts of columns: what the manifest says, what a frame has, and where they differ (docs/contracts.md, Column facts)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.job.loads import Load
from lakehouse.job.types import micros_sql, quoted, type_family

EPOCH = datetime(1970, 1, 1)
BITS_21 = (1 << 21) - 1


def fact_sql(column: str, arrow: str) -> dict[str, str]:
    """SQL of every fact of a column (docs/contracts.md, Column facts); `column` is its name in Delta."""
    name, what = quoted(column), type_family(arrow)
    facts = {"non_null": f"count({name})"}
    if what == "bool":
        return facts | {"sum": f"sum(cast({name} as bigint))"}
    if what in ("int16", "int32", "int64"):
        return facts | {"sum": sum_sql(f"cast({name} as bigint)"), "min": f"min({name})", "max": f"max({name})"}
    if what == "decimal128":
        summed = {"sum": f"sum({name})"} if int(re.findall(r"\d+", arrow)[1]) <= 28 else {}
        return facts | summed | {"min": f"min({name})", "max": f"max({name})"}
    if what in ("float", "double"):
        number = f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END"
        return facts | {"nan": f"count_if(isnan({name}))", "min": f"min({number})", "max": f"max({number})"}
    if what == "date32":
        days = f"cast(datediff({name}, DATE'1970-01-01') as bigint)"
        return facts | {
            "sum": f"sum({days})",
            "min": f"cast(min({name}) as string)",
            "max": f"cast(max({name}) as string)",
        }
    if what == "timestamp":
        return facts | {
            "sum": sum_sql(micros_sql(name)),
            "min": micros_sql(f"min({name})"),
            "max": micros_sql(f"max({name})"),
        }
    if what == "time64":
        seconds = " + ".join(f"cast(substr({name}, {at}, 2) as bigint) * {unit}" for at, unit in ((1, 3600), (4, 60), (7, 1)))
        nanos = f"({seconds}) * 1000000000 + cast(substr({name}, 10, 7) as bigint) * 100"
        return facts | {"sum": f"sum({nanos})", "min": f"min({name})", "max": f"max({name})"}
    return facts | {"length": f"sum(cast(octet_length({name}) as bigint))"}


def sum_sql(number: str) -> str:
    """SQL of the sum of a bigint, which no bigint may hold: of three pieces of it, of 22, 21 and 21 bits, each a sum of bigints.

    A sum of decimals, with the same result, takes an engine as long as all else that it does with the column (Spark: an object
    for every row). Exact for up to 2^42 rows.
    """
    high, middle, low = f"shiftright({number}, 42)", f"(shiftright({number}, 21) & {BITS_21})", f"({number} & {BITS_21})"
    return (
        f"cast(sum({high}) as decimal(20, 0)) * {1 << 42} + cast(sum({middle}) as decimal(20, 0)) * {1 << 21} "
        f"+ cast(sum({low}) as decimal(20, 0))"
    )


@dataclass(frozen=True)
class Facts:
    """Row count, and facts by source column name, each as text (None: all values are NULL)."""

    rows: int
    columns: dict[str, dict[str, str | None]]


def measure(frame: DataFrame, load: Load) -> Facts:
    """Every fact of the load's columns over a frame with its Delta columns: one pass, one row."""
    return facts_of_row(frame.agg(*fact_columns(load)).collect()[0].asDict(), load)


def measure_by(frame: DataFrame, load: Load, column: str) -> dict[str, Facts]:
    """The same for each value of a column that is not among them: one pass, one row per value."""
    by = F.col(quoted(column)).alias("group")
    return {str(row["group"]): facts_of_row(row.asDict(), load) for row in frame.groupBy(by).agg(*fact_columns(load)).collect()}


def fact_columns(load: Load) -> list[Column]:
    """The aggregates, named f0, f1…, and `n`, the rows."""
    facts = [sql for c in load.columns for sql in fact_sql(c["column"], c["type"]).values()]
    return [F.count(F.lit(1)).alias("n"), *(F.expr(sql).alias(f"f{number}") for number, sql in enumerate(facts))]


def facts_of_row(row: dict[str, Any], load: Load) -> Facts:
    """The facts in a row of these aggregates."""
    columns: dict[str, dict[str, str | None]] = {each["name"]: {} for each in load.columns}
    plan = [(c["name"], c["type"], fact) for c in load.columns for fact in fact_sql(c["column"], c["type"])]
    for number, (name, arrow, fact) in enumerate(plan):
        columns[name][fact] = fact_text(row[f"f{number}"], arrow, fact)
    return Facts(int(row["n"]), columns)


def fact_text(value: Any, arrow: str, fact: str) -> str | None:
    """A measured value as the manifest writes it; sum and length of nothing are 0."""
    if value is None:
        return "0" if fact in ("sum", "length", "nan") else None
    if type_family(arrow) == "timestamp" and fact in ("min", "max"):
        text = (EPOCH + timedelta(microseconds=int(value))).isoformat(timespec="microseconds")
        return text + "Z" if "tz" in arrow else text
    return format(value, "f") if isinstance(value, Decimal) else repr(value) if isinstance(value, float) else str(value)


def observed_columns(load: Load) -> list[Column]:
    """What is observed of rows on their way into Delta: `n`, the rows, and f0, f1…, the values of each column.

    Every further fact would be evaluated row by row there, and cost more than to read all back (bench/lakehouse.py).
    """
    return [F.count(F.lit(1)).alias("n"), *(F.count(quoted(c["column"])).alias(f"f{at}") for at, c in enumerate(load.columns))]


def facts_of_observed(row: dict[str, Any], load: Load) -> Facts:
    """The facts in a row of these."""
    return Facts(int(row["n"]), {c["name"]: {"non_null": str(row[f"f{at}"])} for at, c in enumerate(load.columns)})


def facts_of_manifest(load: Load) -> Facts:
    """The manifest's own facts; what it does not say is not compared."""
    columns = {
        name: {fact: None if value is None else str(value) for fact, value in facts.items()}
        for name, facts in load.manifest["columns"].items()
    }
    return Facts(int(load.manifest["rows"]), columns)


def short_of_source(load: Load) -> list[str]:
    """A load whose rows, with those that were put aside, are not what its source said it had; nothing where that cannot say."""
    m = load.manifest
    deletes = m.get("source_deletes")
    if deletes is not None and deletes != load.deletes:
        return [f"{deletes} rows deleted at the source, {load.deletes} in the manifest"]
    said, rows = m["source_rows"], m["rows"] + m.get("dead_letters", 0) + m.get("left_out", 0)
    if said is None or said == rows:
        return []
    aside = "" if rows == m["rows"] else f" and {rows - m['rows']} put aside"
    return [f"{said} rows at the source, {m['rows']} in the manifest{aside}"]


def differences(load: Load, said: Facts, found: Facts, where: str) -> list[str]:
    """What is not equal, for people: `column SubTotal: sum 1 in the manifest, 2 in Delta`."""
    problems = []
    if said.rows != found.rows:
        problems.append(f"{said.rows} rows in the manifest, {found.rows} in {where}")
    for each in load.columns:
        told, seen = said.columns.get(each["name"], {}), found.columns[each["name"]]
        for fact, value in told.items():
            if fact in seen and value is not None and not is_same(value, seen[fact], each["type"], fact):
                problems.append(f"column {each['name']}: {fact} {value} in the manifest, {seen[fact]} in {where}")
    return problems


def is_same(one: str, other: str | None, arrow: str, fact: str) -> bool:
    """Whether two facts are the same value: numbers as numbers, a float as the float it reads back as."""
    if other is None:
        return False
    if one == other:
        return True
    if fact in ("non_null", "nan"):
        return int(one) == int(other)
    if type_family(arrow) == "float":
        return bool(struct.pack("<f", float(one) + 0.0) == struct.pack("<f", float(other) + 0.0))
    if type_family(arrow) == "double":
        return float(one) == float(other)
    if fact in ("sum", "length") or type_family(arrow) in ("int16", "int32", "int64", "decimal128"):
        return Decimal(one) == Decimal(other)
    return False
