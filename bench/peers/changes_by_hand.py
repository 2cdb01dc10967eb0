"""The floor of a load of changes: the bare driver, the query of Microsoft's documentation, bare Parquet; nothing is checked.

usage: python changes_by_hand.py SCHEMA.TABLE KEY[,KEY] FOLDER VERSION      (connects as TAP_MSSQL_… in the environment say)
"""

from __future__ import annotations

import sys
from pathlib import Path

import mssql_python
import pyarrow as pa
import pyarrow.parquet as pq
from bare import connection_string

BATCH_ROWS = 65_536


def main(table: str, key: str, folder: str, version: str) -> None:
    """Rows that came or changed into one file, keys of deleted rows into another."""
    name = ".".join(f"[{part}]" for part in table.split("."))
    keys = [f"[{part}]" for part in key.split(",")]
    same = " AND ".join(f"ct.{part} = t.{part}" for part in keys)
    changes = f"CHANGETABLE(CHANGES {name}, {int(version)}) AS ct"
    listed = ", ".join(f"ct.{part}" for part in keys)
    statements = {
        "rows": f"SELECT t.* FROM {changes} JOIN {name} AS t ON {same}",
        "deletes": f"SELECT {listed} FROM {changes} WHERE ct.SYS_CHANGE_OPERATION = 'D'",
    }
    with mssql_python.connect(connection_string(), autocommit=True) as connection:
        for file, sql in statements.items():
            with connection.cursor() as cursor:
                cursor.execute(sql)
                with cursor.arrow_reader(batch_size=BATCH_ROWS) as reader:
                    path = Path(folder) / f"{file}.parquet"
                    writer = pq.ParquetWriter(path, reader.schema, compression="zstd", compression_level=1)
                    for batch in reader:
                        writer.write_table(pa.Table.from_batches([batch]), row_group_size=batch.num_rows)
                    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
