"""What becomes of an incremental load whose columns are not those of its bookmark: one table of cases."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest

from singer_arrow.bookmarks import OnNewColumn, columns_of, compare, holds
from singer_arrow.errors import SelectionRefused

BEFORE = {"id": "int32", "price": "decimal128(9, 2)", "at": "timestamp[us]"}
REFUSED = "refused"


@dataclass(frozen=True)
class Case:
    """Columns that are there now beside or instead of `BEFORE` ("" for gone), and what a load does by setting."""

    now: dict[str, str]
    backfill: str  # "on", "whole" or "refused"
    null: str
    told: str  # in notes or refusal, with on_new_column: null

    @property
    def columns(self) -> dict[str, str]:
        lower = {name.lower(): name for name in self.now}
        kept = {lower.get(name, name): self.now.get(lower.get(name, ""), kind) for name, kind in BEFORE.items()}
        return {name: kind for name, kind in (kept | self.now).items() if kind}


CASES = {
    "nothing": Case({}, "on", "on", ""),
    "new": Case({"more": "string"}, "whole", "on", "column more is new: rows that were read before hold NULL in it"),
    "dropped": Case({"price": ""}, "on", "on", "column price is gone or deselected: rows that are updated hold NULL in it"),
    "renamed": Case({"price": "", "cost": "decimal128(9, 2)"}, "whole", REFUSED, "column price is gone and column cost is new"),
    "other case": Case({"Price": "decimal128(9, 2)"}, "on", "on", ""),
    "widened": Case({"id": "int64", "price": "decimal128(19, 4)"}, "on", "on", ""),
    "widened to decimal": Case({"id": "decimal128(12, 2)"}, "on", "on", ""),
    "narrowed": Case({"id": "int16"}, REFUSED, REFUSED, "column id was int32 and is int16"),
    "fewer digits before the point": Case({"price": "decimal128(9, 3)"}, REFUSED, REFUSED, "column price was decimal128(9, 2)"),
    "fewer digits behind it": Case({"price": "decimal128(38, 1)"}, REFUSED, REFUSED, "column price was decimal128(9, 2)"),
    "another kind": Case({"at": "timestamp[us, tz=UTC]"}, REFUSED, REFUSED, "column at was timestamp[us] and is timestamp[us,"),
    "another kind, and new": Case({"at": "string", "more": "bool"}, REFUSED, REFUSED, "column at was timestamp[us] and is"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("setting", ["backfill", "null"])
def test_a_load_is_read_on_or_whole_or_refused(case: Case, setting: OnNewColumn) -> None:
    expected = getattr(case, setting)
    if expected == REFUSED:
        with pytest.raises(SelectionRefused) as refused:
            compare("Sales-Order Lines", BEFORE, case.columns, setting)
        assert case.told in str(refused.value) and "stream Sales-Order Lines" in str(refused.value)
        assert "entrypoint.sh refresh 'Sales-Order Lines'" in refused.value.action
        assert "or deselect " in refused.value.action
        return
    changes = compare("s", BEFORE, case.columns, setting)
    assert changes.reads_whole == (expected == "whole")
    if setting == "null":
        assert case.told in "".join(changes.notes) and bool(changes.notes) == bool(case.told)
    elif changes.reads_whole:
        assert "is new: this load reads the stream whole" in changes.notes[0]


def test_a_window_that_was_set_is_never_read_whole() -> None:
    changes = compare("s", BEFORE, BEFORE | {"more": "string"}, "backfill", is_backfill=True)
    assert not changes.reads_whole and "until the next load without a window" in changes.notes[0]


def test_a_bookmark_of_an_older_version_has_no_columns_and_asks_for_nothing() -> None:
    assert compare("s", None, BEFORE, "backfill") == compare("s", BEFORE, BEFORE, "backfill")


ORDER = ["int16", "int32", "int64", "decimal128(19, 0)", "decimal128(21, 2)", "decimal128(38, 2)"]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_a_wider_number_holds_a_narrower_one_and_not_the_other_way(place: int) -> None:
    assert [holds(before, ORDER[place]) for before in ORDER] == [n <= place for n in range(len(ORDER))]


def test_columns_are_text_that_the_manifest_has_too() -> None:
    schema = pa.schema([("a", pa.decimal128(19, 4)), ("b", pa.timestamp("us", tz="UTC")), ("c", pa.float32())])
    assert columns_of(schema) == {"a": "decimal128(19, 4)", "b": "timestamp[us, tz=UTC]", "c": "float"}
    assert holds("float", "double") and not holds("double", "float") and not holds("int64", "double")
