"""Footers read without pyarrow say of rows and columns what pyarrow reads there; what is no Parquet file is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from singer_arrow import footer, types

COLUMNS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("größe", pa.decimal128(38, 9)),
        pa.field("a name, with [signs]", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("t", pa.time64("ns")),
        pa.field("b", pa.binary(16)),
        pa.field("f", pa.bool_()),
        *(pa.field(f"c{number}", types.type_of(name)) for number, name in enumerate(["string", "binary", "float", "double"] * 5)),
    ]
)


@pytest.mark.parametrize("rows", [0, 1, 300])
@pytest.mark.parametrize("columns", [1, 15, 16, len(COLUMNS)])
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_rows_and_columns_are_those_that_pyarrow_reads(rows: int, columns: int, compression: str, tmp_path: Path) -> None:
    schema = pa.schema([COLUMNS.field(place) for place in range(columns)])
    arrays = [pa.array([_value(f)] * rows, f.type) for f in schema]
    path = tmp_path / "part.parquet"
    with pq.ParquetWriter(path, schema, compression=compression, write_page_index=rows == 1) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=70)
        writer.add_key_value_metadata({"more": "x" * 5_000})
    found = pq.read_metadata(path)
    told = [(f.name, f.nullable) for f in found.schema.to_arrow_schema()]
    assert footer.read(path) == (found.num_rows, told) == (rows, [(f.name, f.nullable) for f in schema])


def _value(field: pa.Field) -> object:
    if pa.types.is_decimal(field.type):
        return Decimal("1.5")
    return {"bool": True, "string": "x", "float": 1.5, "double": 1.5}.get(
        str(field.type), b"x" * 16 if "binary" in str(field.type) else 7
    )


def test_what_is_no_parquet_file_of_flat_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"]}), path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    for wrong in (b"", b"PAR1", whole[:-1], whole[:-8], whole[-100:], whole[:-8] + b"\xff" * 4 + b"PAR1"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="it does not end as a Parquet file does"):
            footer.read(path)
    for content in (b"", b"\x00", b"\xff" * 40, whole[-8 - length : -8][:30]):
        path.write_bytes(b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1")
        with pytest.raises(ValueError, match="its footer"):
            footer.read(path)
    pq.write_table(pa.table({"id": [[1], [2]]}), path)
    with pytest.raises(ValueError, match="nested"):
        footer.read(path)
