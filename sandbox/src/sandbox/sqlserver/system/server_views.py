"""The catalog views of the server's own state, made anew by each query that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.literal_rows import literal_rows
from sandbox.sqlserver.system.server import DATETIME, SYSNAME, Client, Server
from sandbox.sqlserver.types.sql_types import SqlType

_BIT, _INT, _BIGINT, _SMALLINT = SqlType("bit"), SqlType("int"), SqlType("bigint"), SqlType("smallint")
_SESSIONS = [
    ("session_id", _SMALLINT), ("login_time", DATETIME), ("host_name", SYSNAME), ("program_name", SYSNAME),
    ("login_name", SYSNAME), ("original_login_name", SYSNAME), ("status", SYSNAME), ("database_id", _SMALLINT),
    ("transaction_isolation_level", _SMALLINT), ("open_transaction_count", _INT), ("is_user_process", _BIT),
    # not in the real view, which does not show it anywhere
    ("sandbox_application_intent", SYSNAME),
]  # fmt: skip
_CONNECTIONS = [
    ("session_id", _INT), ("connect_time", DATETIME), ("net_transport", SYSNAME), ("protocol_type", SYSNAME),
    ("protocol_version", _INT), ("encrypt_option", SYSNAME), ("auth_scheme", SYSNAME), ("net_packet_size", _INT),
    ("client_net_address", SYSNAME), ("client_tcp_port", _INT), ("local_net_address", SYSNAME), ("num_reads", _BIGINT),
]  # fmt: skip
_COUNTERS = [
    ("object_name", SYSNAME), ("counter_name", SYSNAME), ("instance_name", SYSNAME), ("cntr_value", _BIGINT), ("cntr_type", _INT),
]  # fmt: skip


def server_views(server: Server) -> dict[tuple[str, str], Callable[[], tuple[str, list[QueryColumn]]]]:
    """The catalog views of the server's own state, each as a DuckDB expression for FROM and its columns."""
    return {
        ("sys", "dm_exec_sessions"): lambda: literal_rows(_SESSIONS, [_session(client) for client in server.clients()]),
        ("sys", "dm_os_performance_counters"): lambda: literal_rows(
            _COUNTERS,
            [
                _counter("SQLServer:General Statistics", "User Connections", len(server.clients())),
                # not in the real view; a real server shows it in the execution plans of the statements
                _counter("Sandbox", "Rows looked at", server.rows_looked_at),
            ],
        ),
        ("sys", "dm_exec_connections"): lambda: literal_rows(_CONNECTIONS, [_connection(client) for client in server.clients()]),
    }


def _session(client: Client) -> list[Any]:
    return [
        client.spid, client.since, client.host, client.app, client.login, client.login, "running", 5, client.isolation,
        client.transactions, True, client.intent,
    ]  # fmt: skip


def _counter(of: str, name: str, value: int) -> list[Any]:
    return [of, name, "", value, 65_792]


def _connection(client: Client) -> list[Any]:
    return [
        client.spid, client.since, "TCP", "TSQL", 0x74000004, "TRUE" if client.encrypted else "FALSE",
        client.auth_scheme, client.packet_size, client.address, client.port, "127.0.0.1", 0,
    ]  # fmt: skip
