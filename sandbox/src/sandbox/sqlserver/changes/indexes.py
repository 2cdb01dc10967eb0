"""CREATE, ALTER and DROP INDEX."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import parse_one

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.named_objects import definition_change, exact_column, named_table
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.errors import NotSupported, SqlError
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import IndexSpec


def create_index(tokens: TokenReader, statement: Statement) -> Change:
    """CREATE [UNIQUE] INDEX … ON … [INCLUDE …] [WHERE …]."""
    unique = tokens.maybe("UNIQUE")
    tokens.need("INDEX")
    name = tokens.take().text
    tokens.need("ON")
    spec = named_table(tokens.name(), statement)
    keys = [(exact_column(column, spec, statement), down) for column, down in tokens.names()]
    included = [exact_column(column, spec, statement) for column, _ in tokens.names()] if tokens.maybe("INCLUDE") else []
    where = ""
    if tokens.maybe("WHERE"):
        where = re.sub(r"\s+WITH\s*\(.*$", "", tokens.rest(), flags=re.IGNORECASE | re.DOTALL)
        parse_one(f"SELECT 1 WHERE {where}", read="tsql")
    elif tokens.maybe("WITH"):
        tokens.rest()
    tokens.end()
    if any(index.name == name for index in spec.indexes):
        text = f"The operation failed because an index or statistics with name '{name}' already exists on '{spec.full_name}'."
        raise SqlError(1913, text)
    index = IndexSpec(name, [key for key, _ in keys], unique, f"({where})" if where else "", included, [k for k, d in keys if d])
    changed = definition_change(replace(spec, indexes=[*spec.indexes, index]), statement)
    return replace(changed, spec=changed.puts[0], checks=unique)


def alter_index(tokens: TokenReader, statement: Statement) -> Change:
    """ALTER INDEX … ON … DISABLE or REBUILD."""
    tokens.need("INDEX")
    name = tokens.take().text
    tokens.need("ON")
    spec = named_table(tokens.name(), statement)
    disabled = tokens.maybe("DISABLE")
    if not disabled:
        tokens.need("REBUILD")
    tokens.rest()
    found = [replace(i, disabled=disabled) if i.name == name or name.upper() == "ALL" else i for i in spec.indexes]
    if name.upper() != "ALL" and name not in [index.name for index in spec.indexes]:
        raise SqlError(2727, f"Cannot find index '{name}'.", severity=11)
    return definition_change(replace(spec, indexes=found), statement)


def drop_index(tokens: TokenReader, statement: Statement) -> Change:
    """DROP INDEX … ON …."""
    tokens.need("INDEX")
    if tokens.maybe("IF", "EXISTS"):
        raise NotSupported("DROP INDEX IF EXISTS")
    name = tokens.take().text
    tokens.need("ON")
    spec = named_table(tokens.name(), statement)
    left = [index for index in spec.indexes if index.name != name]
    if len(left) == len(spec.indexes):
        text = f"Cannot drop the index '{spec.full_name}.{name}', because it does not exist or you do not have permission."
        raise SqlError(3701, text, severity=11)
    return definition_change(replace(spec, indexes=left), statement)
