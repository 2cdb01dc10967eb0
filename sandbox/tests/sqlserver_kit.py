"""What the tests of the SQL Server counterpart share: starting one, connecting to it, asking it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mssql_python
import pyarrow as pa

from sandbox.launch import Counterpart, counterpart

ROOT = Path(__file__).resolve().parents[2]

__all__ = ["Counterpart", "connect", "failure", "one", "rows", "running", "table"]
# Libraries that this machine lacks and the driver looks for by name: scripts/setup has put them there. Loaded here, in
# whatever order they need each other; found by the loader in processes that tests start.
_DRIVER_LIBRARIES = sorted(Path(sys.prefix, "lib/driver").glob("*.so.*"))
for _library in _DRIVER_LIBRARIES * len(_DRIVER_LIBRARIES):
    with suppress(OSError):
        ctypes.CDLL(str(_library), ctypes.RTLD_GLOBAL)
os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, [str(Path(sys.prefix, "lib/driver")), os.environ.get("LD_LIBRARY_PATH")]))
mssql_python.pooling(enabled=False)  # a connection that broke is not to come back


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Counterpart]:
    """A server of its own; small unless the options say otherwise."""
    with counterpart("sqlserver", folder, *(() if "--scale" in options else ("--scale", "0.01")), *options) as server:
        yield server


def connect(server: Counterpart, autocommit: bool = True, **changes: str) -> Any:
    """A connection of Microsoft's own client."""
    parts = {
        "SERVER": f"127.0.0.1,{server.facts['port']}", "DATABASE": str(server.facts["database"]), "UID": "reader",
        "PWD": server.secret, "Encrypt": "yes", "TrustServerCertificate": "yes", **changes,
    }  # fmt: skip
    return mssql_python.connect(";".join(f"{name}={value}" for name, value in parts.items()), autocommit=autocommit)


def rows(cursor: Any, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return [tuple(row) for row in cursor.execute(sql, *values).fetchall()]


def one(cursor: Any, sql: str, *values: Any) -> Any:
    """The first value of the first row."""
    return cursor.execute(sql, *values).fetchone()[0]


def failure(cursor: Any, sql: str) -> str:
    """What the driver says of a statement that must fail."""
    try:
        cursor.execute(sql)
        cursor.fetchall()
    except mssql_python.Error as error:
        return str(error)
    raise AssertionError(f"did not fail: {sql}")


def table(server: Counterpart, sql: str, batch: int = 65_536) -> pa.Table:
    """A query's rows as Arrow, read on a connection of its own."""
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute(sql)
    with cursor.arrow_reader(batch_size=batch) as reader:
        result = pa.Table.from_batches(list(reader), reader.schema)
    connection.close()
    return result
