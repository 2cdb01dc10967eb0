"""Settings of tap-mssql that point at a SQL Server counterpart."""

from __future__ import annotations

from typing import Any

from sandbox.launch import Counterpart
from tap_mssql.config.settings import Settings, parse


def at(server: Counterpart, **changes: Any) -> Settings:
    """Settings for this server; `changes` to None unset what is given here."""
    config = {
        "host": "127.0.0.1",
        "port": server.facts["port"],
        "database": server.facts["database"],
        "user": "reader",
        "password": server.secret,
        "server_certificate": server.facts["ca_file"],
    }
    return parse({**config, **changes})
