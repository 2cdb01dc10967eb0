"""T-SQL functions: a table from name or syntax node to DuckDB; what isn't here is refused by its name."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.expressions import Expressions
from sandbox.sqlserver.sql.functions.aggregates import average, count, extreme, string_agg, total, window
from sandbox.sqlserver.sql.functions.arguments import Handler, as_text, bare
from sandbox.sqlserver.sql.functions.dates import dateadd, datediff, datepart, part
from sandbox.sqlserver.sql.functions.server import (
    DATETIME,
    DATETIME2,
    OFFSET,
    SYSNAME,
    database_property,
    min_active_rowversion,
    now,
    permissions,
    server_property,
)
from sandbox.sqlserver.sql.scope import INT, Typed, constant, is_text
from sandbox.sqlserver.types.collations import collation, fold
from sandbox.sqlserver.types.sql_types import MAX, STRINGS, WIDE, SqlType, max_length
from sandbox.sqlserver.types.variants import base_type


def call(scope: Expressions, node: exp.Expression) -> Typed:
    """Raises NotSupported with the function's name."""
    if isinstance(node, exp.Anonymous):
        named = _NAMED.get(node.name.lower())
        if named is None:
            raise NotSupported(f"function {node.name.upper()}")
        return named(scope, node)
    handler = _NODES.get(type(node))
    if handler is None:
        what = node.sql_name() if isinstance(node, exp.Func) else type(node).__name__
        raise NotSupported(f"{what} ({node.sql(dialect='tsql')[:80]})")
    return handler(scope, node)


def _coalesce(scope: Expressions, node: exp.Expression) -> Typed:
    items = [scope.compile(item) for item in (node.this, *node.expressions)]
    kind = (items[0].kind or items[1].kind) if node.args.get("is_null") else scope.widest(items)
    return Typed(f"coalesce({', '.join(scope.as_kind(item, kind) for item in items)})", kind.plain if kind else None)


def _nullif(scope: Expressions, node: exp.Expression) -> Typed:
    left, right = scope.compile(node.this), scope.compile(node.expression)
    return Typed(f"CASE WHEN {scope.compare('=', left, right)} THEN NULL ELSE {left.sql} END", left.kind)


def _if(scope: Expressions, node: exp.Expression) -> Typed:
    items = [scope.compile(node.args["true"]), scope.compile(node.args["false"])]
    kind = scope.widest(items)
    yes, no = (scope.as_kind(item, kind) for item in items)
    return Typed(f"CASE WHEN {scope.text(node.this)} THEN {yes} ELSE {no} END", kind)


def _concat(scope: Expressions, node: exp.Expression) -> Typed:
    parts = [as_text(scope, item.this if isinstance(item, exp.Coalesce) else item) for item in node.expressions]
    return Typed(f"concat({', '.join(parts)})", SqlType("nvarchar", 4_000))


def _text_function(name: str, *keys: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        arguments = [scope.text(bare(node.args[key])) for key in keys if node.args.get(key) is not None]
        first = scope.compile(bare(node.this))
        long = first.kind is not None and first.kind.length == MAX
        kind = SqlType("nvarchar" if first.kind is None or first.kind.name in WIDE else "varchar", MAX if long else 4_000)
        if is_text(first.kind) and first.kind is not None:
            kind = replace(kind, collation=first.kind.collation)
        return Typed(f"{name}({', '.join(arguments)})", kind, label=first.label)

    return handle


def _trim(scope: Expressions, node: exp.Expression) -> Typed:
    name = {"TRAILING": "rtrim", "LEADING": "ltrim"}.get(str(node.args.get("position") or ""), "trim")
    return _text_function(name, "this")(scope, node)


def _length(scope: Expressions, node: exp.Expression) -> Typed:
    return Typed(f"CAST(length(rtrim({as_text(scope, node.this)}, ' ')) AS INTEGER)", INT)


def _datalength(scope: Expressions, node: exp.Expression) -> Typed:
    inner = scope.compile(node.expressions[0])
    kind = inner.kind or SYSNAME
    if kind.name in WIDE:
        return Typed(f"CAST(units16({inner.sql}) * 2 AS INTEGER)", INT)
    if kind.name in STRINGS:
        utf8 = bool(kind.collation) and collation(kind.collation).utf8
        return Typed(f"CAST({'strlen' if utf8 else 'length'}({inner.sql}) AS INTEGER)", INT)
    if kind.store == "BLOB":
        return Typed(f"CAST(octet_length({inner.sql}) AS INTEGER)", INT)
    if kind.name == "sql_variant":
        raise NotSupported("DATALENGTH of sql_variant")
    return Typed(f"CASE WHEN {inner.sql} IS NOT NULL THEN {max_length(kind)} END", INT)


def _position(scope: Expressions, node: exp.Expression) -> Typed:
    text, part = scope.compile(bare(node.this)), scope.compile(node.args["substr"])
    name = scope.collation(text, part)
    return Typed(f"CAST(instr({fold(text.sql, name)}, {fold(part.sql, name)}) AS INTEGER)", INT)


def _same_kind(name: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        inner = scope.compile(node.this)
        digits = node.args.get("decimals")
        extra = f", {scope.text(digits)}" if digits is not None else ""
        kind = inner.kind.plain if inner.kind is not None else None
        sql = f"{name}({inner.sql}{extra})"
        return Typed(f"CAST({sql} AS {kind.store})" if kind is not None else sql, kind)

    return handle


def _collate(scope: Expressions, node: exp.Expression) -> Typed:
    inner, name = scope.compile(node.this), node.expression.name
    if not is_text(inner.kind) or inner.kind is None:
        raise SqlError(447, f"Expression type {inner.kind} is invalid for COLLATE clause.")
    if name.lower() in ("database_default", "catalog_default"):
        name = scope.compiler.catalog.collation
    return replace(inner, kind=replace(inner.kind, collation=collation(name).name), label=2)


def _dot(scope: Expressions, node: exp.Expression) -> Typed:
    method = node.expression
    if not isinstance(method, exp.Anonymous) or method.name.lower() != "tostring":
        raise NotSupported(f"method {method.sql(dialect='tsql')}")
    inner = node.this
    column = exp.Column(this=inner) if isinstance(inner, exp.Identifier) else inner
    if isinstance(inner, exp.Dot):
        column = exp.Column(this=inner.expression, table=inner.this)
    return Typed(scope.compile(column).sql, SqlType("nvarchar", 4_000))


def _object_id(scope: Expressions, node: exp.Expression) -> Typed:
    kind = scope.text(node.expression) if node.args.get("expression") is not None else "NULL"
    return Typed(f"object_id({scope.text(node.this)}, {kind})", INT)


def _lookup(name: str, kind: SqlType = SYSNAME) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        return Typed(f"{name}({', '.join(scope.text(argument) for argument in node.expressions[:1])})", kind)

    return handle


def _character(name: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        return Typed(f"chr(CAST({scope.text(node.expressions[0])} AS INTEGER))", SqlType(name, 1 if name == "char" else 2))

    return handle


def _variant_property(scope: Expressions, node: exp.Expression) -> Typed:
    inner, name = (scope.compile(item) for item in node.expressions)
    if str(name.value).lower() != "basetype":
        raise NotSupported(f"SQL_VARIANT_PROPERTY of {name.value}")
    if inner.kind is None or inner.kind.name != "sql_variant":
        return constant(str(inner.kind).partition("(")[0], SYSNAME)
    return Typed(base_type(inner.sql), SYSNAME)


def _fixed(value: str) -> Handler:
    return lambda scope, node: constant(value, SYSNAME)


def _session(key: str) -> Handler:
    return lambda scope, node: constant(str(scope.compiler.facts.get(key, "")), SYSNAME)


_NODES: dict[type, Handler] = {
    exp.Count: count,
    exp.Sum: total,
    exp.Avg: average,
    exp.Min: extreme("min"),
    exp.Max: extreme("max"),
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.If: _if,
    exp.Concat: _concat,
    exp.GroupConcat: string_agg,
    exp.Upper: _text_function("upper", "this"),
    exp.Lower: _text_function("lower", "this"),
    exp.Trim: _trim,
    exp.Left: _text_function("left", "this", "expression"),
    exp.Right: _text_function("right", "this", "expression"),
    exp.Substring: _text_function("substring", "this", "start", "length"),
    exp.Replace: _text_function("replace", "this", "expression", "replacement"),
    exp.Repeat: _text_function("repeat", "this", "times"),
    exp.Length: _length,
    exp.StrPosition: _position,
    exp.Abs: _same_kind("abs"),
    exp.Round: _same_kind("round"),
    exp.Floor: _same_kind("floor"),
    exp.Ceil: _same_kind("ceil"),
    exp.Extract: datepart,
    exp.Year: part("year"),
    exp.Month: part("month"),
    exp.Day: part("day"),
    exp.DateAdd: dateadd,
    exp.DateDiff: datediff,
    exp.Window: window,
    exp.Collate: _collate,
    exp.Dot: _dot,
    exp.ObjectId: _object_id,
    exp.CurrentTimestamp: now(DATETIME),
    exp.CurrentTimestampLTZ: now(OFFSET),
    exp.Chr: _character("char"),
    exp.CurrentUser: _session("login"),
    exp.CurrentSchema: lambda scope, node: Typed(
        f"schema_name({scope.text(node.this)})" if node.this is not None else "'dbo'", SYSNAME
    ),
    exp.Uuid: lambda scope, node: Typed("unhex(md5(CAST(uuid() AS VARCHAR)))", SqlType("uniqueidentifier")),
    exp.CurrentDate: now(SqlType("date")),
}
_NAMED: dict[str, Handler] = {
    "db_name": _session("database"),
    "suser_name": _session("login"),
    "system_user": _session("login"),
    "original_login": _session("login"),
    "user_name": _fixed("dbo"),
    "app_name": _session("app"),
    "schema_name": _lookup("schema_name"),
    "host_name": _session("host"),
    "serverproperty": server_property,
    "databasepropertyex": database_property,
    "min_active_rowversion": min_active_rowversion,
    "parsename": lambda scope, node: Typed(f"parsename({', '.join(map(scope.text, node.expressions))})", SYSNAME),
    "suser_sname": _session("login"),
    "nchar": _character("nvarchar"),
    "sql_variant_property": _variant_property,
    "object_schema_name": _lookup("object_schema_name"),
    "object_name": _lookup("object_name"),
    "type_name": _lookup("type_name"),
    "quotename": _lookup("quotename", SqlType("nvarchar", 258)),
    "schema_id": _lookup("schema_id", INT),
    "type_id": _lookup("type_id", INT),
    "has_perms_by_name": permissions,
    "sysdatetime": now(DATETIME2),
    "sysdatetimeoffset": now(OFFSET),
    "db_id": lambda scope, node: constant(5, INT),
    "sysutcdatetime": now(DATETIME2),
    "getutcdate": now(DATETIME),
    "datalength": _datalength,
    "is_member": lambda scope, node: constant(1, INT),
    "is_srvrolemember": lambda scope, node: constant(1, INT),
    "current_request_id": lambda scope, node: constant(0, INT),
}
