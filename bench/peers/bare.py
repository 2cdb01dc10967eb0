"""The floor: the bare driver's Arrow reader into a bare Parquet writer, on one connection; checks, hashes and counts nothing.

usage: python bare.py SCHEMA.TABLE KEY[,KEY] FILE BATCH_ROWS      (connects as TAP_MSSQL_… in the environment say)
"""

from __future__ import annotations

import os
import sys

import mssql_python
import pyarrow as pa
import pyarrow.parquet as pq


def main(table: str, key: str, file: str, batch_rows: str) -> None:
    """One row group per batch, zstd level 1: what the tap writes."""
    name = ".".join(f"[{part}]" for part in table.split("."))
    order = ", ".join(f"[{part}]" for part in key.split(","))
    with mssql_python.connect(connection_string(), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name} ORDER BY {order}")
        with cursor.arrow_reader(batch_size=int(batch_rows)) as reader:
            writer = pq.ParquetWriter(file, reader.schema, compression="zstd", compression_level=1)
            for batch in reader:
                writer.write_table(pa.Table.from_batches([batch]), row_group_size=batch.num_rows)
            writer.close()


def connection_string() -> str:
    """As the variables say."""
    env = os.environ
    os.environ["SSL_CERT_FILE"] = env["TAP_MSSQL_SERVER_CERTIFICATE"]
    pairs = {
        "Server": f"tcp:{env['TAP_MSSQL_HOST']},{env['TAP_MSSQL_PORT']}",
        "Database": env["TAP_MSSQL_DATABASE"],
        "UID": env["TAP_MSSQL_USER"],
        "PWD": env["TAP_MSSQL_PASSWORD"],
        "Encrypt": "yes",
    }
    return ";".join(f"{key}={{{value}}}" for key, value in pairs.items())


if __name__ == "__main__":
    main(*sys.argv[1:])
