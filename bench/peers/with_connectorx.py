"""connectorx into Parquet: its fastest way that holds the result as Arrow, one connection, then one file.

usage: python with_connectorx.py SCHEMA.TABLE KEY[,KEY] FILE      (connects as TAP_MSSQL_… in the environment say)
"""

from __future__ import annotations

import os
import sys
from urllib.parse import quote

import connectorx
import pyarrow.parquet as pq


def main(table: str, key: str, file: str) -> None:
    """Reads the whole table into memory, then writes it in row groups of 65,536, zstd level 1."""
    name = ".".join(f"[{part}]" for part in table.split("."))
    order = ", ".join(f"[{part}]" for part in key.split(","))
    rows = connectorx.read_sql(_url(), f"SELECT * FROM {name} ORDER BY {order}", return_type="arrow")
    pq.write_table(rows, file, compression="zstd", compression_level=1, row_group_size=65_536)


def _url() -> str:
    env = os.environ
    login = f"{quote(env['TAP_MSSQL_USER'], safe='')}:{quote(env['TAP_MSSQL_PASSWORD'], safe='')}"
    server = f"{env['TAP_MSSQL_HOST']}:{env['TAP_MSSQL_PORT']}/{env['TAP_MSSQL_DATABASE']}"
    trust = f"trust_server_certificate_ca={quote(env['TAP_MSSQL_SERVER_CERTIFICATE'], safe='')}"
    return f"mssql://{login}@{server}?encrypt=true&{trust}"


if __name__ == "__main__":
    main(*sys.argv[1:])
