"""Ranges of keys as SQL: of a repair and of reconcile (docs/contracts.md, Manifest: ranges). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lakehouse.job.types import delta_type, quoted, type_family


def literal(arrow: str, text: str) -> str:
    """A value of a type, as SQL; `text` comes from a document, and ends no literal."""
    if type_family(arrow) in ("int16", "int32", "int64"):
        return str(int(text))
    plain = text.replace("\\", "").replace("'", "")
    return f"cast('{plain}' as {delta_type(arrow).simpleString()})"


def upper_sql(name: str, arrow: str, bound: str) -> str:
    """Rows at or below a bound; `name` is a column as SQL writes it."""
    return f"{name} <= {literal(arrow, bound)}"


def range_sql(column: str, arrow: str, range_: dict[str, Any]) -> str:
    """The rows of a range; one without a lower end has the rows without a key."""
    name, lower, upper = quoted(column), range_["lower"], range_["upper"]
    if lower is None and upper is None:
        return "true"
    if lower is None:
        return f"({upper_sql(name, arrow, upper)} OR {name} IS NULL)"
    above = f"{name} > {literal(arrow, lower)}"
    return f"({above})" if upper is None else f"({above} AND {upper_sql(name, arrow, upper)})"


def ranges_sql(column: str, arrow: str, ranges: Iterable[dict[str, Any]]) -> str:
    """The rows of some ranges."""
    terms = [range_sql(column, arrow, each) for each in ranges]
    return "true" if "true" in terms else " OR ".join(terms)
