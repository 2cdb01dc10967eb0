"""A connection to the sandbox's SQL Server, to prepare what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mssql_python

from sandbox.launch import Counterpart
from tap_mssql.server.libraries import load_libraries

load_libraries()


@contextmanager
def connection(server: Counterpart) -> Iterator[Any]:
    """Open until the block ends; each statement is committed by itself."""
    pairs = {
        "SERVER": f"127.0.0.1,{server.facts['port']}", "DATABASE": str(server.facts["database"]), "UID": "reader",
        "PWD": server.secret, "Encrypt": "yes", "TrustServerCertificate": "yes",
    }  # fmt: skip
    opened = mssql_python.connect(";".join(f"{name}={value}" for name, value in pairs.items()), autocommit=True)
    try:
        yield opened
    finally:
        opened.close()


def rows_looked_at(server: Counterpart) -> int:
    """By all statements on tables so far; the server counts them where it was started with --count-rows."""
    counter = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Rows looked at'"
    with connection(server) as opened:
        return int(opened.cursor().execute(counter).fetchone()[0])


def execute(server: Counterpart, *statements: str) -> list[int]:
    """Runs statements; the rows that each changed."""
    counts = []
    with connection(server) as opened:
        for statement in statements:
            cursor = opened.cursor()
            cursor.execute(statement)
            counts.append(cursor.rowcount)
    return counts
