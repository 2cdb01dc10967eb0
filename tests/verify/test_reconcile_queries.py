"""What `lakehouse reconcile` takes for equal, what it names, and what it says settles it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import VerifyError
from lakehouse.steps.reconcile import compare, is_same, lines, order_of, refuse_differences, repairable
from singer_arrow.documents import (
    ComparedColumn,
    DeltaFigures,
    DeltaTableFigures,
    KeyRange,
    RangeFigures,
    Reconciliation,
    SourceFigures,
    SourceTable,
)

AT = "2026-11-24T16:12:24.000000Z"
COLUMNS = [ComparedColumn("Id", "Id", "int32", ["sum"]), ComparedColumn("Total", "Total", "double", ["max"])]


def figures(rows: int, total: int, most: str | None = "1.5") -> RangeFigures:
    return RangeFigures(rows, {"Id": {"sum": str(total)}, "Total": {"max": most}})


def source(stream: str, *ranges: RangeFigures, key: str = "Id", **more: str) -> SourceTable:
    bounds = [str(100 * number) for number in range(1, len(ranges))]
    given = {"mode": "merge", "problem": ""} | more
    return SourceTable(
        stream=stream, table=stream.lower(), key_columns=[key] if key else [], bounds=bounds, columns=COLUMNS,
        ranges=list(ranges), **given,  # type: ignore[arg-type]
    )  # fmt: skip


def compared(tables: list[SourceTable], *delta: list[RangeFigures] | str) -> Reconciliation:
    told = [
        DeltaTableFigures(stream=t.stream, table=t.table, ranges=[], problem=d)
        if isinstance(d, str)
        else DeltaTableFigures(stream=t.stream, table=t.table, ranges=d)
        for t, d in zip(tables, delta, strict=False)
    ]
    document = DeltaFigures(version=1, published_at=AT, order="0a1b2c3d4e5f", target="lighthouse", tables=told)
    return compare(SourceFigures(asked_at=AT, tables=tables), document)


@pytest.mark.parametrize(
    ("one", "other", "arrow", "same"),
    [
        ("1.50", "1.5", "decimal128(9, 2)", True),
        ("3.40282347e+38", "3.4028234663852886e+38", "float", True),
        ("-0.0", "0.0", "double", True),
        ("0.1", "0.10000000000000002", "double", False),
        ("2026-01-01", "2026-01-02", "date32[day]", False),
        (None, None, "int32", True),
        (None, "0", "int32", False),
    ],
)
def test_figures_are_equal_as_values(one: str | None, other: str | None, arrow: str, same: bool) -> None:
    assert is_same(one, other, arrow) is same


def test_ranges_that_differ_are_named_with_their_figures_and_what_settles_them() -> None:
    good = [figures(5, 10), figures(6, 11), figures(0, 0, None)]
    tables = [source("Good", *good), source("Bad", *good), source("My Log", figures(5, 10), key=""), source("Gone", *good)]
    tables.append(source("Limited", problem="its end_value limits it", mode="overwrite"))
    assert [each["table"] for each in order_of(SourceFigures(asked_at=AT, tables=tables))] == ["good", "bad", "my log", "gone"]
    worse = [figures(5, 10), figures(5, 9), figures(1, 900)]
    found = compared(tables, good, worse, [figures(4, 10)], "there is no table gone")
    bad = found.tables[1]
    assert [each.range for each in bad.differing] == [KeyRange("100", "200"), KeyRange("200", None)]
    assert (bad.source_rows, bad.delta_rows, repairable(found)) == (11, 11, ["Bad"])
    assert lines(found, Path("kept")) == [
        "  Bad, Id above 100 up to 200: rows 6 at the source, 5 in Delta; Id: sum 11 at the source, 9 in Delta",
        "  Bad, Id above 200: rows 0 at the source, 1 in Delta; Id: sum 0 at the source, 900 in Delta; "
        "Total: max nothing at the source, 1.5 in Delta",
        "  My Log, all rows: rows 5 at the source, 4 in Delta",
        "  Gone was not compared: there is no table gone",
        "  Limited was not compared: its end_value limits it",
    ]
    with pytest.raises(VerifyError, match="4 of 5 streams are not known to be equal") as told:
        refuse_differences(found, Path("kept"))
    assert "entrypoint.sh repair Bad; entrypoint.sh refresh 'My Log'" in told.value.action
    refuse_differences(compared(tables[:1], good), Path("kept"))
