"""Functions of text."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.collation_keys import fold
from sandbox.sqlserver.sql.expressions import Expressions, Handler
from sandbox.sqlserver.sql.functions.arguments import as_text, bare
from sandbox.sqlserver.sql.scope import INT, Typed, is_text
from sandbox.sqlserver.system.server import SYSNAME
from sandbox.sqlserver.types.collations import collation
from sandbox.sqlserver.types.sql_types import MAX, STRINGS, WIDE, SqlType, max_length


def concat(expressions: Expressions, node: exp.Expression) -> Typed:
    """CONCAT."""
    parts = [as_text(expressions, item.this if isinstance(item, exp.Coalesce) else item) for item in node.expressions]
    return Typed(f"concat({', '.join(parts)})", SqlType("nvarchar", 4_000))


def text_function(name: str, *keys: str) -> Handler:
    """Calls a DuckDB function with the arguments that the parser has under these keys."""

    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        arguments = [expressions.text(bare(node.args[key])) for key in keys if node.args.get(key) is not None]
        first = expressions.compile(bare(node.this))
        long = first.kind is not None and first.kind.length == MAX
        kind = SqlType("nvarchar" if first.kind is None or first.kind.name in WIDE else "varchar", MAX if long else 4_000)
        if is_text(first.kind) and first.kind is not None:
            kind = replace(kind, collation=first.kind.collation)
        return Typed(f"{name}({', '.join(arguments)})", kind, label=first.label)

    return handle


def trim(expressions: Expressions, node: exp.Expression) -> Typed:
    """TRIM, LTRIM and RTRIM."""
    name = {"TRAILING": "rtrim", "LEADING": "ltrim"}.get(str(node.args.get("position") or ""), "trim")
    return text_function(name, "this")(expressions, node)


def length(expressions: Expressions, node: exp.Expression) -> Typed:
    """LEN: without trailing blanks."""
    return Typed(f"CAST(length(rtrim({as_text(expressions, node.this)}, ' ')) AS INTEGER)", INT)


def datalength(expressions: Expressions, node: exp.Expression) -> Typed:
    """DATALENGTH: bytes."""
    inner = expressions.compile(node.expressions[0])
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


def sha2(expressions: Expressions, node: exp.Expression) -> Typed:
    """HASHBYTES('SHA2_256', …): of text in the encoding of its type, or of bytes."""
    if node.text("length") not in ("", "256"):
        raise NotSupported(f"HASHBYTES('SHA2_{node.text('length')}')")
    inner = expressions.compile(bare(node.this))
    kind = inner.kind or SYSNAME
    if kind.name in WIDE:
        value = f"utf16({inner.sql})"
    elif kind.name in STRINGS:
        value = f"{'encode' if kind.collation and collation(kind.collation).utf8 else 'cp1252'}({inner.sql})"
    elif kind.store == "BLOB":
        value = inner.sql
    else:
        raise SqlError(8116, f"Argument data type {kind.name} is invalid for argument 2 of hashbytes function.")
    return Typed(f"unhex(sha256({value}))", SqlType("varbinary", 8_000))


def position(expressions: Expressions, node: exp.Expression) -> Typed:
    """CHARINDEX, by the collation."""
    text, part = expressions.compile(bare(node.this)), expressions.compile(node.args["substr"])
    name = expressions.collation(text, part)
    return Typed(f"CAST(instr({fold(text.sql, name)}, {fold(part.sql, name)}) AS INTEGER)", INT)


def collate(expressions: Expressions, node: exp.Expression) -> Typed:
    """COLLATE."""
    inner, name = expressions.compile(node.this), node.expression.name
    if not is_text(inner.kind) or inner.kind is None:
        raise SqlError(447, f"Expression type {inner.kind} is invalid for COLLATE clause.")
    if name.lower() in ("database_default", "catalog_default"):
        name = expressions.statement.catalog.collation
    return replace(inner, kind=replace(inner.kind, collation=collation(name).name), label=2)


def character(name: str) -> Handler:
    """CHAR and NCHAR, by the type of their result."""

    def handle(expressions: Expressions, node: exp.Expression) -> Typed:
        return Typed(f"chr(CAST({expressions.text(node.expressions[0])} AS INTEGER))", SqlType(name, 1 if name == "char" else 2))

    return handle
