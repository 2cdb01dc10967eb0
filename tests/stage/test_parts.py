"""What a part says of its rows, beside the rows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from singer_arrow.parts import PartWriter

SCHEMA = pa.schema({"id": pa.int64(), "changed": pa.date32(), "amount": pa.decimal128(9, 2), "text": pa.string()})


@pytest.mark.parametrize("named", [[], ["changed"], ["amount"], ["text"]], ids=["none", "date", "decimal", "text"])
def test_row_groups_say_least_and_greatest_of_the_columns_asked_for_and_of_no_other(named: list[str], tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, "20261124T000000Z-0abc0abc0abc", SCHEMA, {}, statistics=named)
    rows = [{"id": n, "changed": n, "amount": Decimal(n), "text": str(n)} for n in range(9)]
    writer.write(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    [part] = writer.close()
    group = pq.read_metadata(tmp_path / part.path).row_group(0)
    assert [name for place, name in enumerate(SCHEMA.names) if group.column(place).is_stats_set] == named
