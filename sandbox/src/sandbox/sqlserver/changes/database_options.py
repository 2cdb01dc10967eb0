"""ALTER DATABASE … SET."""

from __future__ import annotations

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.changes.tracking import track_database
from sandbox.sqlserver.errors import NotSupported
from sandbox.sqlserver.sql.statement import Statement

_SETTINGS = {"ALLOW_SNAPSHOT_ISOLATION": "snapshot", "READ_COMMITTED_SNAPSHOT": "rcsi"}


def database_option(tokens: TokenReader, statement: Statement) -> Change:
    """READ_ONLY, READ_WRITE, snapshot isolation, change tracking; raises NotSupported for another option."""
    tokens.take()
    tokens.need("SET")
    what = tokens.take().text.upper()
    if what == "CHANGE_TRACKING":
        return track_database(tokens, statement)
    if what in ("READ_ONLY", "READ_WRITE"):
        name, value = "read_only", "ON" if what == "READ_ONLY" else ""
        fact = f"is_read_only = {what == 'READ_ONLY'}"
    elif what in _SETTINGS:
        name, state = _SETTINGS[what], tokens.take().text.upper()
        value = "ON" if state == "ON" else ""
        fact = f"is_read_committed_snapshot_on = {state == 'ON'}"
        if name == "snapshot":
            fact = f"snapshot_isolation_state = {int(state == 'ON')}, snapshot_isolation_state_desc = '{state}'"
    else:
        raise NotSupported(f"ALTER DATABASE … SET {what}")
    tokens.rest()
    return Change(
        [
            f"DELETE FROM mssys.state WHERE name = '{name}'",
            f"INSERT INTO mssys.state VALUES ('{name}', '{value}')",
            f"UPDATE mssys.databases SET {fact} WHERE database_id = 5",
        ],
        state=lambda cursor: None,
    )
