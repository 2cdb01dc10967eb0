"""Patterns choose streams: the last that matches decides; one that chooses nothing is an error that helps."""

from __future__ import annotations

import pytest

from singer_arrow.errors import SelectionRefused
from tap_mssql.config.patterns import choose, refuse_twins

NAMES = [
    ("Sales", "Order"),
    ("Sales", "OrderArchive"),
    ("Sales", "Archive 2020"),
    ("HR", "Employee"),
    ("dbo", "a.b"),
    ("dbo", "x[1]"),
    ("dbo", "emoji 😀/"),
]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], range(7)),
        (["Sales.*"], [0, 1, 2]),
        (["sales.ORDER"], [0]),
        (["*", "!*.*Archive*"], [0, 3, 4, 5, 6]),
        (["!*.*Archive*"], [0, 3, 4, 5, 6]),
        (["Sales.*", "!*.*Archive*", "Sales.OrderArchive"], [0, 1]),
        (["dbo.a.b"], [4]),
        (["dbo.x[1]"], [5]),
        (["dbo.emoji ?/"], [6]),
        (["??.*"], [3]),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns: list[str], chosen: list[int]) -> None:
    assert choose(NAMES, patterns) == [NAMES[i] for i in chosen]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("Sales.Oder", "did you mean Sales.Order"),
        ("Order", "did you mean Sales.Order"),
        ("Purchasing.*", "the schemas with tables are HR, Sales, dbo"),
    ],
)
def test_a_pattern_that_chooses_nothing_names_near_ones(pattern: str, told: str) -> None:
    with pytest.raises(SelectionRefused) as refused:
        choose(NAMES, ["HR.*", pattern])
    assert f"  {pattern}: {told}" in str(refused.value)


def test_patterns_that_leave_nothing_are_refused() -> None:
    with pytest.raises(SelectionRefused, match="leaves no table"):
        choose(NAMES, ["Sales.*", "!*"])
    assert choose([], []) == []


def test_tables_that_share_a_streams_name_are_refused_by_name() -> None:
    with pytest.raises(SelectionRefused, match=r"stream a-b-c: schema 'a-b' table 'c' and schema 'a' table 'b-c'"):
        refuse_twins([("a-b", "c"), ("a", "b-c"), ("a", "b")])
    refuse_twins([("a", "b"), ("A", "B")])
