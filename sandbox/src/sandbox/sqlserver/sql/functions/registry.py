"""T-SQL functions to DuckDB: by name or syntax node, what compiles it. A function that is not here is refused by name."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.change_table import current_version, min_valid_version
from sandbox.sqlserver.sql.conversions import variant_base_type
from sandbox.sqlserver.sql.expressions import Expressions, Handler
from sandbox.sqlserver.sql.functions.aggregates import average, count, extreme, string_agg, total, window
from sandbox.sqlserver.sql.functions.conditional import coalesce, iif, nullif
from sandbox.sqlserver.sql.functions.dates import dateadd, datediff, datename, datepart, part, switch_offset
from sandbox.sqlserver.sql.functions.server import (
    connection_property,
    database_property,
    has_permission,
    min_active_rowversion,
    now,
    server_property,
    session_fact,
)
from sandbox.sqlserver.sql.functions.text import (
    character,
    collate,
    concat,
    datalength,
    length,
    position,
    sha2,
    text_function,
    trim,
)
from sandbox.sqlserver.sql.scope import BIGINT, INT, Scope, Typed, constant
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.server import DATETIME, DATETIME2, DATETIMEOFFSET, SYSNAME
from sandbox.sqlserver.types.sql_types import SqlType


def call(expressions: Expressions, node: exp.Expression) -> Typed:
    """Compiles a function call. Raises NotSupported with the function's name."""
    if isinstance(node, exp.Anonymous):
        named = _NAMED.get(node.name.lower())
        if named is None:
            raise NotSupported(f"function {node.name.upper()}")
        return named(expressions, node)
    handler = _NODES.get(type(node))
    if handler is None:
        what = node.sql_name() if isinstance(node, exp.Func) else type(node).__name__
        raise NotSupported(f"{what} ({node.sql(dialect='tsql')[:80]})")
    return handler(expressions, node)


def expressions_in(statement: Statement, scope: Scope) -> Expressions:
    """Compiles the expressions of a scope, functions included."""
    return Expressions(statement, scope, call)


def _same_kind(name: str) -> Handler:
    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        inner = expressions.compile(node.this)
        digits = node.args.get("decimals")
        extra = f", {expressions.text(digits)}" if digits is not None else ""
        kind = inner.kind.plain if inner.kind is not None else None
        sql = f"{name}({inner.sql}{extra})"
        return Typed(f"CAST({sql} AS {kind.store})" if kind is not None else sql, kind)

    return handle


def _dot(expressions: Expressions, node: exp.Expression) -> Typed:
    method = node.expression
    if not isinstance(method, exp.Anonymous) or method.name.lower() != "tostring":
        raise NotSupported(f"method {method.sql(dialect='tsql')}")
    inner = node.this
    column = exp.Column(this=inner) if isinstance(inner, exp.Identifier) else inner
    if isinstance(inner, exp.Dot):
        column = exp.Column(this=inner.expression, table=inner.this)
    return Typed(expressions.compile(column).sql, SqlType("nvarchar", 4_000))


def _object_id(expressions: Expressions, node: exp.Expression) -> Typed:
    kind = expressions.text(node.expression) if node.args.get("expression") is not None else "NULL"
    return Typed(f"object_id({expressions.text(node.this)}, {kind})", INT)


def _lookup(name: str, kind: SqlType = SYSNAME) -> Handler:
    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        return Typed(f"{name}({', '.join(expressions.text(argument) for argument in node.expressions[:1])})", kind)

    return handle


def _variant_property(expressions: Expressions, node: exp.Expression) -> Typed:
    inner, name = (expressions.compile(item) for item in node.expressions)
    if str(name.value).lower() != "basetype":
        raise NotSupported(f"SQL_VARIANT_PROPERTY of {name.value}")
    if inner.kind is None or inner.kind.name != "sql_variant":
        return constant(str(inner.kind).partition("(")[0], SYSNAME)
    return Typed(variant_base_type(inner.sql), SYSNAME)


def _fixed(value: str) -> Handler:
    return lambda expressions, node: constant(value, SYSNAME)


_NODES: dict[type, Handler] = {
    exp.Count: count,
    exp.Sum: total,
    exp.Avg: average,
    exp.Min: extreme("min"),
    exp.Max: extreme("max"),
    exp.Coalesce: coalesce,
    exp.Nullif: nullif,
    exp.If: iif,
    exp.Concat: concat,
    exp.GroupConcat: string_agg,
    exp.Upper: text_function("upper", "this"),
    exp.Lower: text_function("lower", "this"),
    exp.Trim: trim,
    exp.Left: text_function("left", "this", "expression"),
    exp.Right: text_function("right", "this", "expression"),
    exp.Substring: text_function("substring", "this", "start", "length"),
    exp.Replace: text_function("replace", "this", "expression", "replacement"),
    exp.Repeat: text_function("repeat", "this", "times"),
    exp.Length: length,
    exp.StrPosition: position,
    exp.Abs: _same_kind("abs"),
    exp.Round: _same_kind("round"),
    exp.Floor: _same_kind("floor"),
    exp.Ceil: _same_kind("ceil"),
    exp.SHA2: sha2,
    exp.Extract: datepart,
    exp.TimeToStr: datename,
    exp.Year: part("year"),
    exp.Month: part("month"),
    exp.Day: part("day"),
    exp.DateAdd: dateadd,
    exp.DateDiff: datediff,
    exp.Window: window,
    exp.Collate: collate,
    exp.Dot: _dot,
    exp.ObjectId: _object_id,
    exp.CurrentTimestamp: now(DATETIME),
    exp.CurrentTimestampLTZ: now(DATETIMEOFFSET),
    exp.Chr: character("char"),
    exp.CurrentUser: session_fact("login"),
    exp.CurrentSchema: lambda expressions, node: Typed(
        f"schema_name({expressions.text(node.this)})" if node.this is not None else "'dbo'", SYSNAME
    ),
    exp.Uuid: lambda expressions, node: Typed("unhex(md5(CAST(uuid() AS VARCHAR)))", SqlType("uniqueidentifier")),
    exp.CurrentDate: now(SqlType("date")),
}
_NAMED: dict[str, Handler] = {
    "db_name": session_fact("database"),
    "suser_name": session_fact("login"),
    "system_user": session_fact("login"),
    "original_login": session_fact("login"),
    "user_name": _fixed("dbo"),
    "app_name": session_fact("app"),
    "schema_name": _lookup("schema_name"),
    "host_name": session_fact("host"),
    "serverproperty": server_property,
    "databasepropertyex": database_property,
    "connectionproperty": connection_property,
    "change_tracking_current_version": current_version,
    "change_tracking_min_valid_version": min_valid_version,
    "min_active_rowversion": min_active_rowversion,
    "parsename": lambda expressions, node: Typed(f"parsename({', '.join(map(expressions.text, node.expressions))})", SYSNAME),
    "suser_sname": session_fact("login"),
    "nchar": character("nvarchar"),
    "sql_variant_property": _variant_property,
    "object_schema_name": _lookup("object_schema_name"),
    "object_name": _lookup("object_name"),
    "type_name": _lookup("type_name"),
    "quotename": _lookup("quotename", SqlType("nvarchar", 258)),
    "schema_id": _lookup("schema_id", INT),
    "type_id": _lookup("type_id", INT),
    "has_perms_by_name": has_permission,
    "sysdatetime": now(DATETIME2),
    "sysdatetimeoffset": now(DATETIMEOFFSET),
    "rowcount_big": lambda expressions, node: constant(expressions.statement.session.rowcount, BIGINT),
    "db_id": lambda expressions, node: constant(5, INT),
    "sysutcdatetime": now(DATETIME2),
    "getutcdate": now(DATETIME),
    "datalength": datalength,
    "switchoffset": switch_offset,
    "is_member": lambda expressions, node: constant(1, INT),
    "is_srvrolemember": lambda expressions, node: constant(1, INT),
    "current_request_id": lambda expressions, node: constant(0, INT),
}
