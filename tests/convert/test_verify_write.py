"""What LAKEHOUSE_VERIFY=write proves of a whole load, and what it does not look at (N30); on Sail and on real Spark."""

from __future__ import annotations

import pyarrow as pa
from engine_kit import Lake
from lakehouse_kit import Made, make_load


def numbers(lake: Lake, stream: str, **wrong: object) -> Made:
    """A load of three rows, of which one has no Amount; its manifest says something else of that column."""
    made = make_load(lake.stage, stream, [pa.table({"Id": pa.array([1, 2, 3], pa.int32()), "Amount": [10, None, 30]})])
    columns = made.manifest["columns"]
    made.rewrite(columns=columns | {"Amount": columns["Amount"] | wrong})
    return made


def test_rows_and_nulls_are_proven_while_they_are_written_and_values_only_where_all_is_read_back(lake: Lake) -> None:
    good, nulls, value = numbers(lake, "good"), numbers(lake, "nulls", non_null=3), numbers(lake, "value", sum="41")
    code, printed = lake.engine.run(lake.order([good, nulls, value], verify="write"))
    told = lake.published()["loads"]
    assert told[good.load_id]["status"] == "applied" and told[good.load_id]["delta_rows"] == 3
    assert told[nulls.load_id]["problems"] == ["column Amount: non_null 3 in the manifest, 2 in Delta"]
    if lake.engine.kind == "sail":  # which does not say what it wrote: all is read back
        assert told[value.load_id]["problems"] == ["column Amount: sum 41 in the manifest, 40 in Delta"]
    else:
        assert told[value.load_id]["status"] == "applied" and "read back" not in printed
    assert code == 1
    assert lake.rows("good") == [(1, 10), (2, None), (3, 30)]
