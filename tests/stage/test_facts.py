"""Column facts are exact: nothing rounds, overflows or forgets a NULL."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan
from typing import Any

import lakehouse_kit
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_arrow.facts import FactsOfColumn, exact_sum, merged, time_text

EPOCH = datetime(1970, 1, 1)


def facts(values: list[Any], arrow: pa.DataType, pieces: int = 2) -> Any:
    column = FactsOfColumn(arrow)
    for start in range(0, len(values), max(1, -(-len(values) // pieces))):
        column.add(pa.array(values[start : start + max(1, -(-len(values) // pieces))], arrow))
    return column.result()


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=300))
def test_sums_of_64_bit_integers_never_overflow(values: list[int | None]) -> None:
    assert exact_sum(pa.array(values, pa.int64())) == sum(v for v in values if v is not None)


@given(st.lists(st.one_of(st.none(), st.decimals(min_value=-(10**22), max_value=10**22, places=4)), max_size=50))
def test_decimal_facts_are_exact_text(values: list[Decimal | None]) -> None:
    present = [v for v in values if v is not None]
    result = facts(values, pa.decimal128(28, 4))
    assert result.non_null == len(present)
    assert Decimal(result.sum) == sum(present, Decimal(0))
    assert [result.min, result.max] == ([format(min(present), "f"), format(max(present), "f")] if present else [None, None])


def test_decimals_of_38_digits_have_no_sum_but_exact_bounds() -> None:
    result = facts([Decimal("-" + "9" * 38), Decimal("9" * 38)], pa.decimal128(38, 0))
    assert (result.sum, result.min, result.max) == (None, "-" + "9" * 38, "9" * 38)


@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)), min_size=1, max_size=50))
def test_timestamp_facts_reach_from_year_1_to_9999(values: list[datetime]) -> None:
    result = facts(values, pa.timestamp("us"))
    assert int(result.sum) == sum((v - EPOCH) // timedelta(microseconds=1) for v in values)
    assert result.min == min(values).isoformat(timespec="microseconds")


def test_dates_times_text_and_binary() -> None:
    assert facts([date(1970, 1, 2), None, date(1, 1, 1)], pa.date32()).sum == str(1 - 719162)
    assert facts(["é", "", None, "🙂"], pa.string()).length == 6
    assert facts([b"\0\0", None], pa.binary()).length == 2
    assert facts([True, None, False, True], pa.bool_()).sum == "2"
    assert time_text(86_399_999_999_900) == "23:59:59.9999999"


def test_facts_of_nothing() -> None:
    empty = facts([None, None], pa.int32())
    assert (empty.non_null, empty.sum, empty.min) == (0, "0", None)


@pytest.mark.parametrize("value", [3.4028234663852886e38, 1.401298464324817e-45, -0.1])
def test_floats_read_back_the_same(value: float) -> None:
    assert pa.array([float(facts([value], pa.float32()).min)], pa.float32()) == pa.array([value], pa.float32())


@pytest.mark.parametrize("arrow", [pa.float32(), pa.float64()], ids=str)
@given(data=st.data())
def test_nan_is_counted_and_bounds_are_those_of_the_other_values(arrow: pa.DataType, data: st.DataObject) -> None:
    numbers = st.one_of(st.none(), st.sampled_from([nan, inf, -inf, 0.5]), st.floats(width=arrow.bit_width))
    values = pa.chunked_array([data.draw(st.lists(numbers, max_size=8))], arrow)
    found, said = facts(values.to_pylist(), arrow), lakehouse_kit.facts(values)
    assert (found.non_null, found.nan) == (said["non_null"], said["nan"])
    for mine, other in ((found.min, said["min"]), (found.max, said["max"])):
        assert (mine is None) == (other is None) and (mine is None or float(mine) == float(other))


VALUES = {
    pa.bool_(): st.booleans(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.decimal128(28, 4): st.decimals(min_value=-(10**22), max_value=10**22, places=4),
    pa.decimal128(38, 0): st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal),
    pa.date32(): st.dates(),
    pa.timestamp("us", tz="UTC"): st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    pa.time64("us"): st.times(),
    pa.string(): st.text(max_size=20),
    pa.binary(): st.binary(max_size=20),
}


@pytest.mark.parametrize("arrow", VALUES, ids=str)
@given(data=st.data())
def test_facts_of_pieces_merge_to_the_facts_of_the_whole(arrow: pa.DataType, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.lists(st.one_of(st.none(), VALUES[arrow]), max_size=8), max_size=5))
    whole = [value for piece in pieces for value in piece]
    assert merged(arrow, [facts(piece, arrow, 1) for piece in pieces]) == facts(whole, arrow, 1)
