"""Functions about the server, the database, the session, the clock and permissions."""

from __future__ import annotations

import time

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.change_table import VIEW_CHANGE_TRACKING
from sandbox.sqlserver.sql.expressions import Expressions, Handler
from sandbox.sqlserver.sql.scope import INT, Typed, constant
from sandbox.sqlserver.system import server
from sandbox.sqlserver.system.server import SYSNAME
from sandbox.sqlserver.types import temporal
from sandbox.sqlserver.types.sql_types import SqlType

_CLASSES = ("OBJECT", "DATABASE", "SCHEMA", "SERVER")


def now(kind: SqlType) -> Handler:
    """This moment as a type, by the server's clock; its time zone is UTC."""

    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        ahead = round(expressions.statement.session.running().clock_offset * 10_000_000)
        return constant(temporal.store(temporal.UNIX_EPOCH + time.time_ns() // 100 + ahead, 0, kind), kind)

    return handle


def session_fact(name: str) -> Handler:
    """A text about the session, by its name in SessionFacts."""
    return lambda expressions, node: constant(str(getattr(expressions.statement.session, name)), SYSNAME)


def server_property(expressions: Expressions, node: exp.Expression) -> Typed:
    """SERVERPROPERTY."""
    name = str(expressions.compile(node.expressions[0]).value)
    return _property(server.server_property(name, expressions.statement.catalog))


def connection_property(expressions: Expressions, node: exp.Expression) -> Typed:
    """CONNECTIONPROPERTY: how this connection came about; NULL for an unknown name."""
    known = {"auth_scheme": expressions.statement.session.auth_scheme, "net_transport": "TCP", "protocol_type": "TSQL"}
    return _property(known.get(str(expressions.compile(node.expressions[0]).value).lower()))


def database_property(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATABASEPROPERTYEX of the one database; NULL for another."""
    database, name = (str(expressions.compile(item).value) for item in node.expressions)
    return _property(server.database_property(database, name, expressions.statement.catalog))


def _property(value: str | int | None) -> Typed:
    if value is None:
        return Typed("CAST(NULL AS VARCHAR)", SYSNAME)
    return constant(value, INT if isinstance(value, int) else SYSNAME)


def min_active_rowversion(expressions: Expressions, node: exp.Expression) -> Typed:
    """MIN_ACTIVE_ROWVERSION()."""
    lowest = expressions.statement.session.running().min_active_rowversion()
    return constant(lowest.to_bytes(8, "big"), SqlType("binary", 8))


def has_permission(expressions: Expressions, node: exp.Expression) -> Typed:
    """HAS_PERMS_BY_NAME: SELECT on objects and columns unless denied; everything else is granted."""
    items = [expressions.compile(item) for item in node.expressions]
    kind = str(items[1].value or "DATABASE").upper() if len(items) > 1 else "DATABASE"
    if kind not in _CLASSES:
        return Typed("CAST(NULL AS INTEGER)", INT)
    if kind != "OBJECT":
        return constant(1, INT)
    if str(items[2].value).upper() == "VIEW CHANGE TRACKING":
        denied = f"SELECT object_id FROM mssys.denied WHERE column_id IN (0, {VIEW_CHANGE_TRACKING})"
        found = f"object_id({items[0].sql}, NULL)"
        return Typed(f"CASE WHEN {found} IS NOT NULL THEN CAST({found} NOT IN ({denied}) AS INTEGER) END", INT)
    if str(items[2].value).upper() != "SELECT":
        return Typed(f"CASE WHEN object_id({items[0].sql}, NULL) IS NOT NULL THEN 1 END", INT)
    if len(items) > 3:
        if len(items) < 5 or str(items[4].value).upper() != "COLUMN":
            raise NotSupported("HAS_PERMS_BY_NAME of a part that is no column")
        return Typed(f"may_select_column({items[0].sql}, {items[3].sql})", INT)
    return Typed(f"may_select({items[0].sql})", INT)
