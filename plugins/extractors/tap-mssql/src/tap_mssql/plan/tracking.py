"""Change tracking: what a load of changes begins with, whether that still holds, and the statements that read it.

https://learn.microsoft.com/sql/relational-databases/track-changes/work-with-change-tracking-sql-server
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from singer_arrow.bookmarks import KEY
from singer_arrow.errors import SelectionRefused
from singer_arrow.facts import utc_text
from tap_mssql.errors import Drifted
from tap_mssql.plan import statements
from tap_mssql.server.session import Session
from tap_mssql.server.sql_types import quote, text
from tap_mssql.server.table import Table

log = logging.getLogger("tap-mssql")
CT = "[changed keys]"  # what CHANGETABLE is called in statements; with a space, hardly a table's name
_KEY = "changed key {}"


class Since(Struct, frozen=True):
    """What the bookmark of a stream holds of the load before: its version, and the table, key and tracking that it is of."""

    version: int
    object_id: int | None
    key: tuple[str, ...]
    begun: int | None
    read_at: str

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Since | None:
        """From a bookmark; None for one that is not of change tracking."""
        if state.get("change_version") is None:
            return None
        key = tuple(map(str, state.get(KEY) or ()))
        begun, number = state.get("tracked_since"), state.get("object_id")
        return cls(int(state["change_version"]), number, key, begun, str(state.get("read_at") or ""))


class Changes(Struct, frozen=True):
    """What a load of a tracked table reads: `since` None for the whole table, else what changed since that version.

    `to`: the version that it is of. `keys`: how many changed, None where all rows are read. `is_idle`: nothing changed, and
    nothing need be read. `mark` is for the bookmark, `notes` say why a table is read whole again.
    """

    since: int | None
    to: int
    is_idle: bool
    mark: dict[str, Any]
    notes: tuple[str, ...] = ()
    keys: int | None = None


class Facts(NamedTuple):
    """What the server says of a table's changes.

    `current`: the database's version; `least`: that since which changes are known; `begun`: that at which tracking began;
    `minutes`: for how long changes are kept. None where changes are not tracked, or that is not for this login to see.
    """

    current: int | None
    least: int | None
    begun: int | None
    minutes: int | None
    may_view: bool

    @classmethod
    def of(cls, row: Sequence[Any]) -> Facts:
        """From the row of `facts_sql`."""
        current, least, begun, minutes = (None if value is None else int(value) for value in row[:4])
        return cls(current, least, begun, minutes, may_view=row[4] != 0)


def facts_sql(table: Table) -> str:
    """One row: current and least valid version, when tracking began, minutes that changes are kept, and the permission."""
    number = table.object_id
    unit = "CASE retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END"
    return (
        f"SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION({number}), "
        f"(SELECT begin_version FROM sys.change_tracking_tables WHERE object_id = {number}), "
        f"(SELECT retention_period * {unit} FROM sys.change_tracking_databases WHERE database_id = DB_ID()), "
        f"HAS_PERMS_BY_NAME({text(table.quoted)}, 'OBJECT', 'VIEW CHANGE TRACKING')"
    )


def look(session: Session, stream: str, table: Table, since: Since | None) -> Changes:
    """The changes that a load reads. Raises SelectionRefused where the table is not tracked, and what the driver raises.

    The documented order: the version now, then whether the changes since the bookmark's are all still kept; once more after
    reading (`refuse_expired`).
    """
    return _changes(session, table, since, _facts(session, stream, table))


def told(session: Session, stream: str, table: Table, since: Since | None) -> tuple[Changes, list[str]]:
    """The changes that a load would read, and what a person wants to know of them. Raises as `look` does."""
    facts = _facts(session, stream, table)
    found = _changes(session, table, since, facts)
    kept = "" if facts.minutes is None else f", for {facts.minutes / 1440:g} days"
    lines = [f"changes are kept since version {facts.least}{kept}; the database is at version {facts.current}"]
    if found.since is not None:
        lines.append(f"{found.keys:,} keys changed since the bookmark's version {found.since}")
    return found, [*lines, *found.notes]


def _facts(session: Session, stream: str, table: Table) -> Facts:
    """Of a table whose changes can be read. Raises SelectionRefused for another one."""
    facts = Facts.of(session.exactly_one(facts_sql(table)))
    if refusal := why_not(table, facts):
        raise SelectionRefused(f"stream {stream} is LOG_BASED, and {refusal[0]}", action=refusal[1])
    return facts


def why_not(table: Table, facts: Facts) -> tuple[str, str] | None:
    """Why the changes of a table cannot be read, and what to do; None where they can."""
    other = "; or read the stream by another method"
    if table.is_synonym:
        return "it is a synonym, by whose name no changes are looked up", f"select the table that it stands for{other}"
    if not table.has_primary_key:
        return "its table has no primary key, which that needs", f"give the table a primary key{other}"
    if not facts.may_view:
        what = f"this login may not view which rows of {table.quoted} changed"
        return what, f"GRANT VIEW CHANGE TRACKING ON {table.quoted} to it{other}"
    if facts.current is not None and facts.least is not None:
        return None
    what = "the database does not track changes" if facts.current is None else "changes of its table are not tracked"
    on = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON); "
    on = on if facts.current is None else ""
    return what, f"type at the server: {on}ALTER TABLE {table.quoted} ENABLE CHANGE_TRACKING{other}"


def _changes(session: Session, table: Table, since: Since | None, facts: Facts) -> Changes:
    current, least, begun, minutes, _ = facts
    assert current is not None and least is not None
    why = "" if since is None else _why_whole(since, table, current, least, begun)
    at = datetime.now(UTC)
    mark = {"object_id": table.object_id, KEY: list(table.key), "tracked_since": begun, "read_at": utc_text(at)}
    if since is None or why:
        return Changes(None, current, False, mark, (f"{why}: this load reads the stream whole",) if why else ())
    keys = int(session.exactly_one(f"SELECT COUNT_BIG(*) FROM {changes(table, since.version)}", may_scan=True)[0])
    return Changes(since.version, current, not keys and not _is_old(since.read_at, at, minutes), mark, (), keys)


def _why_whole(since: Since, table: Table, current: int, least: int, begun: int | None) -> str:
    """Why the bookmark cannot be gone on from; empty text where it can."""
    if since.object_id is not None and since.object_id != table.object_id:
        return "the table was made anew"
    if since.key and since.key != table.key:
        return f"its primary key was ({', '.join(since.key)}) and is ({', '.join(table.key)})"
    if since.version > current:
        return f"the database is at version {current}, before the bookmark's {since.version}, as one that was restored"
    if _began_anew(since, begun):
        return f"its changes are tracked anew since version {begun} (TRUNCATE TABLE, or tracking was switched off and on again)"
    if since.version < least:
        return f"changes are known since version {least}, and the bookmark is at {since.version} (retention, or TRUNCATE TABLE)"
    return ""


def _began_anew(since: Since, begun: int | None) -> bool:
    """Whether tracking began another time since; TRUNCATE TABLE resets it (learn.microsoft.com, sys.change_tracking_tables)."""
    return since.begun is not None and begun is not None and since.begun != begun


def _is_old(read_at: str, now: datetime, minutes: int | None) -> bool:
    """Whether a bookmark is older than half of what changes are kept for: then it moves, though nothing has changed."""
    if not read_at or not minutes:
        return True
    return now - datetime.fromisoformat(read_at) > timedelta(minutes=minutes) / 2


def refuse_expired(session: Session, stream: str, table: Table, since: Since, whole: Any) -> None:
    """Raises Drifted where changes since a bookmark are no longer all there; `whole`: the request that reads the whole table."""
    _, least, begun, *_ = Facts.of(session.exactly_one(facts_sql(table)))
    if least is None or least > since.version or _began_anew(since, begun):
        session.confirm()
        why = "its changes are no longer tracked" if least is None else f"changes before version {least} are no longer known"
        raise Drifted(stream, f"{table.schema}.{table.name}", [why], lambda: whole, is_same_shape=True)


def changes(table: Table, since: int) -> str:
    """The changes since a version, for FROM."""
    return f"CHANGETABLE(CHANGES {table.quoted}, {since}) AS {CT}"


def changed(table: Table, since: int) -> str:
    """The table's rows that are there and came or changed since a version, for FROM; its columns keep their names for
    conditions, so that the key's have others among the changes.

    A join, as Microsoft's documentation has it: servers take twice as long for EXISTS.
    """
    listed = ", ".join(f"{quote(name)} AS {quote(_KEY.format(n))}" for n, name in enumerate(table.key))
    same = " AND ".join(f"{CT}.{quote(_KEY.format(n))} = {table.quoted}.{quote(name)}" for n, name in enumerate(table.key))
    return f"{table.quoted} JOIN (SELECT {listed} FROM {changes(table, since)}) AS {CT} ON {same}"


def deleted(table: Table, since: int, expressions: Sequence[str], where: str = "") -> str:
    """The keys of rows that were deleted since a version, as expressions over the key columns.

    With a condition, of all rows that changed and are not among those that meet it now: deleted, or changed out of it.
    """
    gone = f"{CT}.SYS_CHANGE_OPERATION = 'D'"
    if where:
        gone = f"NOT EXISTS (SELECT 1 FROM {table.quoted} WHERE {_same(table)} AND ({where}))"
    return f"SELECT {', '.join(expressions)} FROM {changes(table, since)} WHERE {gone}"


def count_deleted(table: Table, since: int, where: str = "") -> str:
    """How many they are: one row."""
    return deleted(table, since, ["COUNT_BIG(*)"], where)


def _same(table: Table) -> str:
    """Whether a change and a row have the same key."""
    return " AND ".join(f"{CT}.{quote(name)} = {table.quoted}.{quote(name)}" for name in table.key)


def exact_rows(session: Session, table: Table, to: int, where: str = "") -> int | None:
    """The stream's rows at a version, counted; None where rows changed since, or where that is not known any more."""
    rows = int(session.exactly_one(statements.count(table.quoted, where), may_scan=True)[0])
    if session.one(f"SELECT TOP (1) 1 FROM {changes(table, to)}", may_scan=True) is not None:
        return None
    least = Facts.of(session.exactly_one(facts_sql(table))).least
    return rows if least is not None and least <= to else None
