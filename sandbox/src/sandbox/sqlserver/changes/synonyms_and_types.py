"""CREATE and DROP SYNONYM, CREATE TYPE … FROM."""

from __future__ import annotations

import re

from sqlglot import parse_one

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.named_objects import definition_change
from sandbox.sqlserver.changes.objects import check_free
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.declared_types import data_type
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.system.type_rows import add_alias
from sandbox.sqlserver.types.sql_types import parse_type


def create_synonym(tokens: TokenReader, statement: Statement) -> Change:
    """CREATE SYNONYM … FOR …."""
    name = tokens.name()
    tokens.need("FOR")
    target = tokens.name()
    tokens.end()
    schema = name[-2] if len(name) > 1 else "dbo"
    check_free(schema, name[-1], statement.catalog)
    text = ".".join(f"[{part.replace(']', ']]')}]" for part in target)
    spec = TableSpec(schema, name[-1], [], target=text, object_id=statement.catalog.next_id())
    return definition_change(spec, statement)


def drop_synonym(tokens: TokenReader, statement: Statement) -> Change:
    """DROP SYNONYM. Raises SqlError 3701."""
    name = tokens.name()
    spec = statement.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None or not spec.target:
        text = f"Cannot drop the synonym '{'.'.join(name)}', because it does not exist or you do not have permission."
        raise SqlError(3701, text, severity=11)
    return Change([], drops=[spec])


def create_type(tokens: TokenReader, statement: Statement) -> Change:
    """CREATE TYPE … FROM …: an alias type."""
    name = tokens.name()
    tokens.need("FROM")
    text = tokens.rest()
    nullable = not re.search(r"\bNOT\s+NULL\s*$", text, re.IGNORECASE)
    text = re.sub(r"\s+(NOT\s+)?NULL\s*$", "", text, flags=re.IGNORECASE)
    column = parse_one(f"CAST(1 AS {text})", read="tsql").args["to"]
    kind = parse_type(str(data_type(column)))
    where = statement.catalog.collation
    return Change([], state=lambda cursor: add_alias(cursor, name[-1], kind, nullable, where))
