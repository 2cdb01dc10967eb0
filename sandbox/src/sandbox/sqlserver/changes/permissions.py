"""DENY, GRANT and REVOKE of SELECT and of VIEW CHANGE TRACKING."""

from __future__ import annotations

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.named_objects import exact_column
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.change_table import VIEW_CHANGE_TRACKING
from sandbox.sqlserver.sql.statement import Statement


def permission(what: str, tokens: TokenReader, statement: Statement) -> Change:
    """These two only. There is one login, so that is the one it is denied or granted to."""
    tracking = tokens.maybe("VIEW", "CHANGE", "TRACKING")
    if not tracking:
        tokens.need("SELECT")
    columns = tokens.names() if tokens.next is not None and tokens.next.text == "(" else []
    tokens.need("ON")
    tokens.maybe("OBJECT", "::")
    name = tokens.name()
    columns = columns or (tokens.names() if tokens.next is not None and tokens.next.text == "(" else [])
    if not tokens.maybe("TO"):
        tokens.need("FROM")
    tokens.take()
    tokens.end()
    spec = statement.catalog.spec(name[-2] if len(name) > 1 else "", name[-1])
    if spec is None:
        text = f"Cannot find the object '{'.'.join(name)}', because it does not exist or you do not have permission."
        raise SqlError(15151, text)
    numbers = [spec.column(exact_column(column, spec, statement)).number for column, _ in columns] or [
        VIEW_CHANGE_TRACKING if tracking else 0
    ]
    listed = ", ".join(map(str, numbers))
    everything = "" if columns or tracking else " OR column_id >= 0"
    statements = [f"DELETE FROM mssys.denied WHERE object_id = {spec.object_id} AND (column_id IN ({listed}){everything})"]
    if what == "DENY":
        rows = ", ".join(f"({spec.object_id}, {number})" for number in numbers)
        statements.append(f"INSERT INTO mssys.denied VALUES {rows}")
    return Change(statements, state=lambda cursor: None)
