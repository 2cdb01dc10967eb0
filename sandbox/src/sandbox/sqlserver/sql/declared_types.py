"""The parser's types as SQL Server's."""

from __future__ import annotations

from sqlglot import exp

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.types.sql_types import MAX, SqlType, parse_type, sql_type


def cast_target(node: exp.Expression) -> SqlType:
    """The type of a CAST. Raises SqlError 243 for a type that does not exist."""
    try:
        return parse_type(node.sql(dialect="tsql")) if not isinstance(node, exp.DataType) else data_type(node)
    except ValueError:
        raise SqlError(243, f"Type {node.sql()} is not a defined system type.", severity=16) from None


def data_type(node: exp.DataType) -> SqlType:
    """A sqlglot type as declared in T-SQL."""
    if node.this == exp.DataType.Type.USERDEFINED:
        return parse_type(str(node.args.get("kind")))
    name = {
        "TEXT": "text",
        "TIMESTAMP": "datetime2",
        "UUID": "uniqueidentifier",
        "ROWVERSION": "rowversion",
        "UTINYINT": "tinyint",
        "BOOLEAN": "bit",
        "DOUBLE": "float",
        "TIMESTAMPTZ": "datetimeoffset",
        "TIMESTAMPNTZ": "datetime2",
        "VARIANT": "sql_variant",
        "NAME": "sysname",
    }.get(node.this.name, node.this.name.lower())
    arguments = [MAX if str(argument.name).lower() == "max" else int(argument.name) for argument in node.expressions]
    if name == "sysname":
        return SqlType("nvarchar", 128)
    parse_type(name)
    return sql_type(name, *arguments)
