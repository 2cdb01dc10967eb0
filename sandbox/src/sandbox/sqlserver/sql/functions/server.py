"""Functions and views that tell about the server, the database, the session and what it may do."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.scope import BIGINT, INT, Typed, constant
from sandbox.sqlserver.system.catalog import Offer
from sandbox.sqlserver.types import stored_values as values
from sandbox.sqlserver.types import temporal
from sandbox.sqlserver.types.sql_types import SqlType

if TYPE_CHECKING:
    from sandbox.sqlserver.engine.store import Store

SYSNAME = SqlType("nvarchar", 128)
DATETIME, DATETIME2, OFFSET = SqlType("datetime"), SqlType("datetime2", scale=7), SqlType("datetimeoffset", scale=7)
VERSION = "16.0.4000.1"
VERSION_TEXT = f"Microsoft SQL Server 2022 (sandbox counterpart) - {VERSION} (X64)\n\tDeveloper Edition (64-bit)"
_EPOCH = 719_162 * temporal.DAY
_PROPERTIES: dict[str, str | int] = {
    "productversion": VERSION,
    "productlevel": "RTM",
    "edition": "Developer Edition (64-bit)",
    "servername": "SANDBOX",
    "machinename": "SANDBOX",
    "engineedition": 3,
    "productmajorversion": "16",
    "productminorversion": "0",
    "isclustered": 0,
    "ishadrenabled": 0,
    "isintegratedsecurityonly": 0,
}
LEVELS = {"READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5}
_CLASSES = ("OBJECT", "DATABASE", "SCHEMA", "SERVER")


@dataclass
class Client:
    """What is known of a connected client, for sys.dm_exec_sessions and sys.dm_exec_connections."""

    spid: int
    login: str
    app: str = ""
    host: str = ""
    database: str = ""
    encrypted: bool = True
    intent: str = "ReadWrite"
    address: str = "127.0.0.1"
    port: int = 0
    packet_size: int = 4_096
    since: int = 0  # as `datetime` is kept
    isolation: int = 2
    transactions: int = 0


def _now(scope: Expressions) -> int:
    """100 ns since 0001-01-01 in UTC, by the server's clock."""
    store: Store = scope.compiler.facts["store"]
    return _EPOCH + time.time_ns() // 100 + round(store.clock_offset * 10_000_000)


def now(kind: SqlType) -> Callable[[Expressions, exp.Expression], Typed]:
    """This moment as a type; the server's time zone is UTC."""

    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        return constant(temporal.keep(_now(scope), 0, kind), kind)

    return handle


def server_property(scope: Expressions, node: exp.Expression) -> Typed:
    """SERVERPROPERTY."""
    name = str(scope.compile(node.expressions[0]).value).lower()
    value = scope.compiler.catalog.collation if name == "collation" else _PROPERTIES.get(name)
    if isinstance(value, int):
        return constant(value, INT)
    return _text(value)


def database_property(scope: Expressions, node: exp.Expression) -> Typed:
    """DATABASEPROPERTYEX of the one database; NULL for another."""
    catalog = scope.compiler.catalog
    database, name = (str(scope.compile(item).value) for item in node.expressions)
    if catalog.fold(database) != catalog.fold(catalog.database):
        return _text(None)
    known: dict[str, str | int] = {
        "updateability": "READ_ONLY" if catalog.settings.get("read_only") else "READ_WRITE",
        "collation": catalog.collation,
        "status": "ONLINE",
        "recovery": "SIMPLE",
        "useraccess": "MULTI_USER",
        "edition": "Developer Edition (64-bit)",
        "version": 957,
    }
    value = known.get(name.lower())
    return constant(value, INT) if isinstance(value, int) else _text(value)


def _text(value: str | None) -> Typed:
    return Typed("CAST(NULL AS VARCHAR)", SYSNAME) if value is None else constant(value, SYSNAME)


def min_active_rowversion(scope: Expressions, node: exp.Expression) -> Typed:
    """MIN_ACTIVE_ROWVERSION()."""
    store: Store = scope.compiler.facts["store"]
    return constant(store.min_active_version().to_bytes(8, "big"), SqlType("binary", 8))


def last_rowversion(store: Store) -> Typed:
    """@@DBTS."""
    return constant(store.last_version().to_bytes(8, "big"), SqlType("binary", 8))


def permissions(scope: Expressions, node: exp.Expression) -> Typed:
    """HAS_PERMS_BY_NAME: SELECT on objects and columns as denied; everything else is granted."""
    items = [scope.compile(item) for item in node.expressions]
    kind = str(items[1].value or "DATABASE").upper() if len(items) > 1 else "DATABASE"
    if kind not in _CLASSES:
        return Typed("CAST(NULL AS INTEGER)", INT)
    if kind != "OBJECT":
        return constant(1, INT)
    if str(items[2].value).upper() != "SELECT":
        return Typed(f"CASE WHEN object_id({items[0].sql}, NULL) IS NOT NULL THEN 1 END", INT)
    if len(items) > 3:
        if len(items) < 5 or str(items[4].value).upper() != "COLUMN":
            raise NotSupported("HAS_PERMS_BY_NAME of a part that is no column")
        return Typed(f"may_select_column({items[0].sql}, {items[3].sql})", INT)
    return Typed(f"may_select({items[0].sql})", INT)


def views(store: Store) -> dict[tuple[str, str], Callable[[], tuple[str, list[Offer]]]]:
    """The catalog views of the server's own state, each as a DuckDB expression for FROM and its columns."""
    return {
        ("sys", "dm_exec_sessions"): lambda: _rows(_SESSIONS, [_session(client) for client in store.clients()]),
        ("sys", "dm_os_performance_counters"): lambda: _rows(_COUNTERS, [_counter(len(store.clients()))]),
        ("sys", "dm_exec_connections"): lambda: _rows(_CONNECTIONS, [_connection(client) for client in store.clients()]),
    }


_BIT, _MOMENT, _SMALL = SqlType("bit"), DATETIME, SqlType("smallint")
_SESSIONS = [
    ("session_id", _SMALL), ("login_time", _MOMENT), ("host_name", SYSNAME), ("program_name", SYSNAME),
    ("login_name", SYSNAME), ("original_login_name", SYSNAME), ("status", SYSNAME), ("database_id", _SMALL),
    ("transaction_isolation_level", _SMALL), ("open_transaction_count", INT), ("is_user_process", _BIT),
    # not in the real view, which does not show it anywhere
    ("sandbox_application_intent", SYSNAME),
]  # fmt: skip
_CONNECTIONS = [
    ("session_id", INT), ("connect_time", _MOMENT), ("net_transport", SYSNAME), ("protocol_type", SYSNAME),
    ("protocol_version", INT), ("encrypt_option", SYSNAME), ("auth_scheme", SYSNAME), ("net_packet_size", INT),
    ("client_net_address", SYSNAME), ("client_tcp_port", INT), ("local_net_address", SYSNAME), ("num_reads", BIGINT),
]  # fmt: skip

_COUNTERS = [
    ("object_name", SYSNAME), ("counter_name", SYSNAME), ("instance_name", SYSNAME), ("cntr_value", BIGINT), ("cntr_type", INT),
]  # fmt: skip


def _session(client: Client) -> list[Any]:
    return [
        client.spid, client.since, client.host, client.app, client.login, client.login, "running", 5, client.isolation,
        client.transactions, True, client.intent,
    ]  # fmt: skip


def _counter(connections: int) -> list[Any]:
    return ["SQLServer:General Statistics", "User Connections", "", connections, 65_792]


def _connection(client: Client) -> list[Any]:
    return [
        client.spid, client.since, "TCP", "TSQL", 0x74000004, "TRUE" if client.encrypted else "FALSE", "SQL",
        client.packet_size, client.address, client.port, "127.0.0.1", 0,
    ]  # fmt: skip


def _rows(shape: list[tuple[str, SqlType]], rows: list[list[Any]]) -> tuple[str, list[Offer]]:
    cells = ["(" + ", ".join(values.literal(v, kind) for v, (_, kind) in zip(row, shape, strict=True)) + ")" for row in rows]
    names = ", ".join(f"d{number}" for number in range(len(shape)))
    offers = [Offer(name, kind, f"d{number}") for number, (name, kind) in enumerate(shape)]
    return f"(SELECT * FROM (VALUES {', '.join(cells)}) AS x({names}))", offers


def moment() -> int:
    """Now as `datetime` is kept."""
    ticks = temporal.keep(_EPOCH + time.time_ns() // 100, 0, DATETIME)
    assert not isinstance(ticks, dt.date)
    return ticks


def macros(database: str, case: bool) -> list[str]:
    """DuckDB functions over the catalog; `case` tells whether names that differ in case are different."""
    part = r"\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|[^.\[\"]+".replace(r"\"", '"')
    fold = "x" if case else "lower(x)"
    name = database.replace("'", "''")
    return [
        f"CREATE OR REPLACE MACRO fold_name(x) AS {fold}",
        "CREATE OR REPLACE MACRO bare_name(p) AS CASE WHEN p[1] = '[' THEN replace(substring(p, 2, length(p) - 2), ']]', ']') "
        "WHEN p[1] = '\"' THEN replace(substring(p, 2, length(p) - 2), '\"\"', '\"') ELSE p END",
        f"CREATE OR REPLACE MACRO parsename(n, i) AS bare_name(regexp_extract_all(n, '{part}')[-i])",
        "CREATE OR REPLACE MACRO object_id(n, t) AS (SELECT o.object_id FROM mssys.objects o JOIN mssys.schemas s "
        "USING (schema_id) WHERE fold_name(o.name) = fold_name(parsename(n, 1)) "
        "AND fold_name(s.name) = fold_name(coalesce(parsename(n, 2), 'dbo')) "
        f"AND coalesce(fold_name(parsename(n, 3)), fold_name('{name}')) = fold_name('{name}') "
        "AND (t IS NULL OR rtrim(o.type) = upper(t)))",
        "CREATE OR REPLACE MACRO may_select(n) AS CASE WHEN object_id(n, NULL) IS NULL THEN NULL WHEN (SELECT count(*) "
        "FROM mssys.denied d WHERE d.object_id = object_id(n, NULL) AND d.column_id = 0) > 0 THEN 0 ELSE 1 END",
        "CREATE OR REPLACE MACRO column_number(i, c) AS (SELECT k.column_id FROM mssys.columns k WHERE k.object_id = i "
        "AND fold_name(k.name) = fold_name(c))",
        "CREATE OR REPLACE MACRO may_select_column(n, c) AS CASE WHEN column_number(object_id(n, NULL), c) IS NULL THEN NULL "
        "WHEN (SELECT count(*) FROM mssys.denied d WHERE d.object_id = object_id(n, NULL) "
        "AND d.column_id IN (0, column_number(object_id(n, NULL), c))) > 0 THEN 0 ELSE 1 END",
        "CREATE OR REPLACE MACRO schema_name(i) AS (SELECT s.name FROM mssys.schemas s WHERE s.schema_id = i)",
        "CREATE OR REPLACE MACRO schema_id(n) AS (SELECT s.schema_id FROM mssys.schemas s "
        "WHERE fold_name(s.name) = fold_name(n))",
        "CREATE OR REPLACE MACRO object_name(i) AS (SELECT o.name FROM mssys.objects o WHERE o.object_id = i)",
        "CREATE OR REPLACE MACRO object_schema_name(i) AS (SELECT s.name FROM mssys.objects o JOIN mssys.schemas s "
        "USING (schema_id) WHERE o.object_id = i)",
        "CREATE OR REPLACE MACRO type_name(i) AS (SELECT t.name FROM mssys.types t WHERE t.user_type_id = i)",
        "CREATE OR REPLACE MACRO type_id(n) AS (SELECT t.user_type_id FROM mssys.types t WHERE fold_name(t.name) = fold_name(n))",
        "CREATE OR REPLACE MACRO quotename(n) AS '[' || replace(n, ']', ']]') || ']'",
    ]
