"""Statements the parser does not know: indexes, synonyms, renames, descriptions, permissions, options of the database."""

from __future__ import annotations

import re

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.database_options import database_option
from sandbox.sqlserver.changes.indexes import alter_index, create_index, drop_index
from sandbox.sqlserver.changes.permissions import permission
from sandbox.sqlserver.changes.procedures import procedure
from sandbox.sqlserver.changes.synonyms_and_types import create_synonym, create_type, drop_synonym
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.changes.tracking import track_table
from sandbox.sqlserver.sql.statement import Statement

_STARTS = re.compile(
    r"\s*(CREATE\s+(UNIQUE\s+)?((NON)?CLUSTERED\s+)?INDEX|ALTER\s+INDEX|DROP\s+INDEX|(CREATE|DROP)\s+SYNONYM|CREATE\s+TYPE"
    r"|ALTER\s+TABLE\s+\S+(\s*\.\s*\S+)?\s+(ENABLE|DISABLE)\s+CHANGE_TRACKING|EXEC(UTE)?\s|(sys\s*\.\s*)?sp_\w+|DENY\s|GRANT\s|REVOKE\s|ALTER\s+DATABASE)",
    re.IGNORECASE,
)


def command(sql: str, statement: Statement) -> Change | None:
    """Reads such a statement; None for one that the parser can read."""
    if not _STARTS.match(sql):
        return None
    # CLUSTERED makes no difference here, and the tokenizer joins it with INDEX
    tokens = TokenReader(re.sub(r"\b(NON)?CLUSTERED\s+INDEX\b", "INDEX", sql, count=1, flags=re.IGNORECASE))
    first = tokens.take().text.upper()
    if first == "CREATE":
        if tokens.maybe("SYNONYM"):
            return create_synonym(tokens, statement)
        return create_type(tokens, statement) if tokens.maybe("TYPE") else create_index(tokens, statement)
    if first == "ALTER":
        if tokens.maybe("TABLE"):
            return track_table(tokens, statement)
        return database_option(tokens, statement) if tokens.maybe("DATABASE") else alter_index(tokens, statement)
    if first == "DROP":
        return drop_synonym(tokens, statement) if tokens.maybe("SYNONYM") else drop_index(tokens, statement)
    if first in ("DENY", "GRANT", "REVOKE"):
        return permission(first, tokens, statement)
    name = tokens.name() if first in ("EXEC", "EXECUTE") else (first, *(tokens.name() if tokens.maybe(".") else ()))
    return procedure(name[-1].lower(), tokens, statement)
