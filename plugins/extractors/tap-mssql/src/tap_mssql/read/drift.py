"""Whether a table is still what was discovered."""

from __future__ import annotations

from tap_mssql.errors import Drifted
from tap_mssql.plan import statements
from tap_mssql.server import discovery
from tap_mssql.server.discovery import Table
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import SqlColumn


def version(session: Session, table: Table) -> str:
    """Changes whenever the table is altered or renamed; empty text when it is gone. Raises what the driver raises.

    An index that is rebuilt changes it too: what changed is then for `refuse` to find out.
    """
    row = session.one(statements.version(table.object_id))
    return "" if row is None else "\0".join(map(str, row))


def refuse(session: Session, stream: str, known: Table, since: str = "") -> str:
    """The table's version. Raises Drifted, naming what changed, when the table is not as it was, and what the driver raises.

    `since`: the version at which it was; the same one now is believed without a further look.
    """
    now = version(session, known)
    if now and now == since:
        return now
    with session.hearing():
        table = discovery.table(session.connection, known.object_id)
    told = differences(known, table)
    if told:
        session.confirm()
        raise Drifted(stream, known, told, table)
    return now


def differences(known: Table, now: Table | None) -> list[str]:
    """What is not as it was, in words; nothing for the same table. Estimates, indexes and descriptions may differ."""
    if now is None:
        return ["it is gone, or this login may not see it any more"]
    told = []
    if (known.schema, known.name) != (now.schema, now.name):
        told.append(f"it is called {now.schema}.{now.name} now")
    before = {c.name: c for c in known.columns}
    after = {c.name: c for c in now.columns}
    told += [f"column {name} was dropped" for name in before if name not in after]
    told += [f"column {name} {after[name].declared} was added" for name in after if name not in before]
    for name in before.keys() & after.keys():
        if _shape(before[name]) != _shape(after[name]):
            told.append(f"column {name} was {_words(before[name])} and is {_words(after[name])}")
    if known.key != now.key:
        told.append(f"its key was ({', '.join(known.key)}) and is ({', '.join(now.key)})")
    return told


def _shape(column: SqlColumn) -> tuple[object, ...]:
    return column.declared, column.nullable, column.collation


def _words(column: SqlColumn) -> str:
    return f"{column.declared} {'NULL' if column.nullable else 'NOT NULL'}" + (f" {column.collation}" if column.collation else "")
