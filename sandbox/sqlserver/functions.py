"""T-SQL functions: a table from name or syntax node to DuckDB; what isn't here is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver import temporal
from sandbox.sqlserver.collations import collation, fold
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.expressions import BIGINT, INT, Expressions, Typed, constant, is_text
from sandbox.sqlserver.facts import (
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
from sandbox.sqlserver.types import DECIMALS, INTEGERS, MAX, STRINGS, TEMPORAL, WIDE, SqlType, max_length
from sandbox.sqlserver.variants import base_type

_UNITS = {
    "day": temporal.DAY,
    "dd": temporal.DAY,
    "d": temporal.DAY,
    "hour": 36_000_000_000,
    "hh": 36_000_000_000,
    "minute": 600_000_000,
    "mi": 600_000_000,
    "n": 600_000_000,
    "second": 10_000_000,
    "ss": 10_000_000,
    "s": 10_000_000,
    "millisecond": 10_000,
    "ms": 10_000,
    "microsecond": 10,
    "mcs": 10,
}
Handler = Callable[[Expressions, exp.Expression], Typed]


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


def _bare(node: exp.Expression) -> exp.Expression:
    """An argument without the cast to text or time that the parser put around it."""
    if isinstance(node, (exp.TimeStrToTime, exp.TsOrDsToDate)):
        return _bare(node.this)
    if isinstance(node, exp.Cast) and node.args["to"].this in (exp.DataType.Type.TEXT, exp.DataType.Type.TIMESTAMP):
        return _bare(node.this)
    return node


def _count(scope: Expressions, node: exp.Expression) -> Typed:
    kind = BIGINT if node.args.get("big_int") else INT
    inner = node.this
    if isinstance(inner, exp.Distinct):
        key = scope.ordered(scope.compile(inner.expressions[0]))
        return Typed(f"CAST(count(DISTINCT {key}) AS {kind.store})", kind)
    argument = "*" if inner is None or isinstance(inner, exp.Star) else scope.text(inner)
    if isinstance(node.parent, exp.Window):
        return Typed(f"count({argument})", kind)
    return Typed(f"CAST(count({argument}) AS {kind.store})", kind)


def _sum(scope: Expressions, node: exp.Expression) -> Typed:
    inner = scope.compile(node.this)
    kind = inner.kind
    if kind is None:
        return Typed(f"sum({inner.sql})")
    if kind.name in INTEGERS:
        target = BIGINT if kind.name == "bigint" else INT
        return Typed(f"CAST(sum({inner.sql}) AS {target.store})", target)
    if kind.name in ("decimal", "numeric"):
        target = SqlType(kind.name, 0, 38, kind.scale)
        return Typed(f"sum({inner.sql})", target)
    if kind.name in ("money", "smallmoney"):
        return Typed(f"CAST(sum({inner.sql}) AS DECIMAL(19,4))", SqlType("money", 0, 19, 4))
    if kind.name in ("real", "float"):
        return Typed(f"sum({inner.sql})", SqlType("float"))
    raise SqlError(8117, f"Operand data type {kind.name} is invalid for sum operator.")


def _avg(scope: Expressions, node: exp.Expression) -> Typed:
    inner = scope.compile(node.this)
    kind = inner.kind
    if kind is not None and kind.name in INTEGERS:
        target = BIGINT if kind.name == "bigint" else INT
        return Typed(f"CAST(trunc(avg({inner.sql})) AS {target.store})", target)
    if kind is not None and kind.name in DECIMALS:
        target = SqlType("decimal", 0, 38, max(kind.scale, 6))
        return Typed(f"CAST(avg({inner.sql}) AS {target.store})", target)
    return Typed(f"avg({inner.sql})", SqlType("float"))


def _extreme(name: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        inner = scope.compile(node.this)
        if inner.kind is not None and inner.kind.name in ("bit", "text", "ntext", "image", "xml"):
            raise SqlError(8117, f"Operand data type {inner.kind.name} is invalid for {name} operator.")
        key = scope.ordered(inner)
        sql = f"{name}({inner.sql})" if key == inner.sql else f"arg_{name}({inner.sql}, {key})"
        return Typed(sql, inner.kind.plain if inner.kind else None, label=inner.label)

    return handle


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
    parts = [_as_text(scope, item.this if isinstance(item, exp.Coalesce) else item) for item in node.expressions]
    return Typed(f"concat({', '.join(parts)})", SqlType("nvarchar", 4_000))


def _as_text(scope: Expressions, node: exp.Expression) -> str:
    return scope.convert(_bare(node), SqlType("nvarchar", MAX), 121).sql


def _string_agg(scope: Expressions, node: exp.Expression) -> Typed:
    inner, order = node.this, ""
    if isinstance(inner, exp.Order):
        keys = [
            f"{scope.ordered(scope.compile(key.this))} {'DESC' if key.args.get('desc') else 'ASC'}" for key in inner.expressions
        ]
        order, inner = f" ORDER BY {', '.join(keys)}", inner.this
    separator = scope.text(node.args["separator"])
    return Typed(f"string_agg({_as_text(scope, inner)}, {separator}{order})", SqlType("nvarchar", MAX))


def _text_function(name: str, *keys: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        arguments = [scope.text(_bare(node.args[key])) for key in keys if node.args.get(key) is not None]
        first = scope.compile(_bare(node.this))
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
    return Typed(f"CAST(length(rtrim({_as_text(scope, node.this)}, ' ')) AS INTEGER)", INT)


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
    text, part = scope.compile(_bare(node.this)), scope.compile(node.args["substr"])
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


def _ticks(scope: Expressions, node: exp.Expression) -> tuple[str, SqlType]:
    """A date or time argument as 100 ns since 0001-01-01."""
    inner = scope.compile(_bare(node))
    kind = inner.kind
    if kind is None or kind.name not in TEMPORAL:
        kind = DATETIME2
        return scope.coerce(inner, kind), kind
    return temporal.ticks(inner.sql if not inner.constant else scope.coerce(inner, kind), kind), kind


def _datepart(scope: Expressions, node: exp.Expression) -> Typed:
    part = node.this.name.lower()
    ticks, _ = _ticks(scope, node.expression)
    fractions = {
        "nanosecond": "100 * ({t} % 10000000)",
        "ns": "100 * ({t} % 10000000)",
        "microsecond": "({t} % 10000000) // 10",
        "mcs": "({t} % 10000000) // 10",
        "millisecond": "({t} % 10000000) // 10000",
        "ms": "({t} % 10000000) // 10000",
        "second": "({t} // 10000000) % 60",
        "minute": "({t} // 600000000) % 60",
        "hour": "({t} // 36000000000) % 24",
    }
    if part in fractions:
        return Typed(f"CAST({fractions[part].format(t=f'({ticks})')} AS INTEGER)", INT)
    if part in ("year", "month", "day", "quarter", "week", "dayofyear"):
        return Typed(f"CAST({part}(ticks_date({ticks})) AS INTEGER)", INT)
    raise NotSupported(f"DATEPART({part})")


def _part(name: str) -> Handler:
    def handle(scope: Expressions, node: exp.Expression) -> Typed:
        inner = node.this.this if isinstance(node.this, (exp.Cast, exp.TsOrDsToDate)) else node.this
        return Typed(f"CAST({name}(ticks_date({_ticks(scope, inner)[0]})) AS INTEGER)", INT)

    return handle


def _dateadd(scope: Expressions, node: exp.Expression) -> Typed:
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise NotSupported(f"DATEADD({unit})")
    ticks, kind = _ticks(scope, node.this)
    moved = Typed(f"({ticks} + CAST({scope.text(node.expression)} AS BIGINT) * {_UNITS[unit]})", DATETIME2)
    return Typed(scope.coerce(moved, kind), kind.plain)


def _datediff(scope: Expressions, node: exp.Expression) -> Typed:
    unit = str(node.args["unit"].name).lower()
    if unit not in _UNITS:
        raise NotSupported(f"DATEDIFF({unit})")
    end, start = _ticks(scope, node.this)[0], _ticks(scope, node.expression)[0]
    return Typed(f"CAST({end} // {_UNITS[unit]} - {start} // {_UNITS[unit]} AS INTEGER)", INT)


def _window(scope: Expressions, node: exp.Expression) -> Typed:
    inner = node.this
    if isinstance(inner, exp.RowNumber):
        base = Typed("row_number()", BIGINT)
    elif isinstance(inner, exp.Ntile):
        base = Typed(f"ntile({scope.text(inner.this)})", BIGINT)
    else:
        base = scope.compile(inner)
    if node.args.get("spec"):
        raise NotSupported("a window frame (ROWS, RANGE)")
    parts = []
    if node.args.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(scope.ordered(scope.compile(key)) for key in node.args["partition_by"]))
    order = node.args.get("order")
    if order is not None:
        keys = [
            "(SELECT NULL)"
            if isinstance(key.this, (exp.Subquery, exp.Select))
            else f"{scope.ordered(scope.compile(key.this))} {'DESC NULLS LAST' if key.args.get('desc') else 'ASC NULLS FIRST'}"
            for key in order.expressions
        ]
        parts.append("ORDER BY " + ", ".join(keys))
    return Typed(f"{base.sql} OVER ({' '.join(parts)})", base.kind)


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
    exp.Count: _count,
    exp.Sum: _sum,
    exp.Avg: _avg,
    exp.Min: _extreme("min"),
    exp.Max: _extreme("max"),
    exp.Coalesce: _coalesce,
    exp.Nullif: _nullif,
    exp.If: _if,
    exp.Concat: _concat,
    exp.GroupConcat: _string_agg,
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
    exp.Extract: _datepart,
    exp.Year: _part("year"),
    exp.Month: _part("month"),
    exp.Day: _part("day"),
    exp.DateAdd: _dateadd,
    exp.DateDiff: _datediff,
    exp.Window: _window,
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
