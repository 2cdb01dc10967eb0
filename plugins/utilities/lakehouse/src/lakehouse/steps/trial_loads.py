"""Three loads of three rows for `lakehouse accept`: every type of the contract, its lowest and highest values and NULL."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from singer_arrow import documents, names
from singer_arrow.documents import Cursor, LoadDocument
from singer_arrow.facts import utc_text
from singer_arrow.parts import PartWriter

SOURCE = "accept"
MODES: tuple[Literal["overwrite", "append", "merge"], ...] = ("overwrite", "append", "merge")
KEY = "id"


def write_trial_loads(output: Path, trial: str, target: str) -> None:
    """Writes the parts and manifests of a load of each mode below `output`, as a tap and a target would; meant for `target`."""
    table = trial_rows()
    for mode in MODES:
        begun = datetime.now(UTC)
        stream = f"accept-{mode}"
        load_id = names.load_id(trial, SOURCE, stream, begun)
        writer = PartWriter(output / SOURCE / names.folder(stream), load_id, table.schema, {}, [KEY])
        for batch in table.to_batches():
            writer.write(batch)
        writer.close()
        bookmark = {"replication_key": KEY, "replication_key_value": "3"}
        document = LoadDocument(
            load_id=load_id,
            run_id=trial,
            stream=stream,
            source_schema=SOURCE,
            source_table=mode,
            mode=mode,
            key_columns=[] if mode == "append" else [KEY],
            cursor=None if mode == "overwrite" else Cursor(KEY, None, "3"),
            schema=documents.columns_of(stream, table.schema, {}),
            files=writer.files,
            rows=writer.rows,
            source_rows=table.num_rows,
            columns=writer.facts(),
            started_at=utc_text(begun),
            ended_at=utc_text(datetime.now(UTC)),
        )
        placed = [msgspec.structs.replace(each, path=f"{names.folder(stream)}/{each.path}") for each in writer.files]
        manifest = documents.manifest_of(document, SOURCE, placed, None if mode == "overwrite" else bookmark, target)
        path = output / SOURCE / names.manifest(load_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        documents.write(path, manifest)


def trial_rows() -> pa.Table:
    """Three rows: `id` (int32, not NULL) 1 to 3; of every other type its lowest value, its highest, and NULL."""
    ends: dict[str, tuple[pa.DataType, Any, Any]] = {
        "a_bool": (pa.bool_(), False, True),
        "an_int16": (pa.int16(), -(2**15), 2**15 - 1),
        "an_int64": (pa.int64(), -(2**63), 2**63 - 1),
        "a_float": (pa.float32(), -3.4028234663852886e38, 1.100000023841858),
        "a_double": (pa.float64(), 5e-324, 1.7976931348623157e308),
        "money": (pa.decimal128(19, 4), Decimal("-922337203685477.5808"), Decimal("922337203685477.5807")),
        "a_decimal": (pa.decimal128(38, 10), Decimal(f"-{'9' * 28}.{'9' * 10}"), Decimal(f"{'9' * 28}.{'9' * 10}")),
        "a_date": (pa.date32(), date(1, 1, 1), date(9999, 12, 31)),
        "a_datetime": (pa.timestamp("us"), datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)),
        "a_moment": (
            pa.timestamp("us", tz="UTC"),
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ),
        "a_time": (pa.time64("ns"), 0, 86_399_999_999_900),
        "text": (pa.string(), "", "ação 😀 'quoted' \\ \n"),
        "bytes": (pa.binary(), b"", b"\x00\xff\xfe"),
    }
    columns = {KEY: pa.array([1, 2, 3], pa.int32())}
    columns |= {name: pa.array([low, high, None], kind) for name, (kind, low, high) in ends.items()}
    fields = [pa.field(name, column.type, name != KEY) for name, column in columns.items()]
    return pa.table(list(columns.values()), pa.schema(fields))
