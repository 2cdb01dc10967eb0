"""Whether a table is still what was discovered."""

from __future__ import annotations

from functools import partial

from tap_mssql.errors import Drifted
from tap_mssql.plan import statements
from tap_mssql.plan.table_request import TableRequest
from tap_mssql.server import discovery
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import SqlColumn
from tap_mssql.server.table import Table


def version(session: Session, table: Table) -> str:
    """Changes whenever the table is altered or renamed; empty text when it is gone, and for a query, which the server keeps
    none of. Raises what the driver raises.

    An index that is rebuilt changes it too: what changed is then for `refuse` to find out.
    """
    if table.sql:
        return ""
    row = session.one(statements.version(table.object_id, table.is_synonym))
    return "" if row is None else "\0".join(map(str, row))


def refuse(session: Session, request: TableRequest, known_version: str = "") -> str:
    """The table's version. Raises Drifted, naming what changed, when the table is not as it was, and what the driver raises.

    `known_version`: the one at which it was; the same one now needs no further look.
    """
    known = request.table
    now = version(session, known)
    if now and now == known_version:
        return now
    with session.awaiting_answer():
        table = discovery.again(session.connection, known)
    changes = differences(known, table)
    if changes:
        session.confirm()
        successor = None if table is None else partial(request.adapted, table)
        raise Drifted(request.stream, f"{known.schema}.{known.name}", changes, successor)
    return now


def differences(known: Table, now: Table | None) -> list[str]:
    """What is not as it was, in words; nothing for the same table. Estimates, indexes and descriptions may differ."""
    if now is None:
        return ["it is gone, or this login may no longer see it"]
    if now.problem:
        return [now.problem]
    changes = []
    if (known.schema, known.name) != (now.schema, now.name):
        changes.append(f"it was renamed to {now.schema}.{now.name}")
    before = {c.name: c for c in known.columns}
    after = {c.name: c for c in now.columns}
    changes += [f"column {name} was dropped" for name in before if name not in after]
    changes += [f"column {name} {after[name].declared} was added" for name in after if name not in before]
    for name in before.keys() & after.keys():
        if _declaration(before[name]) != _declaration(after[name]):
            changes.append(f"column {name} was {_words(before[name])} and is {_words(after[name])}")
    if known.key != now.key:
        changes.append(f"its key was ({', '.join(known.key)}) and is ({', '.join(now.key)})")
    return changes


def _declaration(column: SqlColumn) -> tuple[object, ...]:
    return column.declared, column.nullable, column.collation


def _words(column: SqlColumn) -> str:
    return f"{column.declared} {'NULL' if column.nullable else 'NOT NULL'}" + (f" {column.collation}" if column.collation else "")
