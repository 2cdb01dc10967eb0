"""Change tracking: switched on and off, kept for a while, cleaned up (learn.microsoft.com, "About change tracking")."""

from __future__ import annotations

from dataclasses import replace

from sandbox.sqlserver.changes.change import Change
from sandbox.sqlserver.changes.named_objects import named_table
from sandbox.sqlserver.changes.token_reader import TokenReader
from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.sql.statement import Statement
from sandbox.sqlserver.system.specs import TableSpec

_UNITS = {"MINUTES": 1, "HOURS": 2, "DAYS": 3}


def track_database(tokens: TokenReader, statement: Statement) -> Change:
    """ALTER DATABASE … SET CHANGE_TRACKING [= ON | = OFF] [(CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)]."""
    database, is_on = statement.catalog.database, bool(statement.catalog.settings.get("change_tracking"))
    wanted = is_on
    if tokens.maybe("="):
        wanted = tokens.take().text.upper() == "ON"
        if wanted and is_on:
            raise SqlError(5088, f"Change tracking is already enabled for database '{database}'.")
    elif not is_on:
        text = f"Change tracking is disabled for database '{database}'. Change tracking must be enabled on a database to modify"
        raise SqlError(5089, f"{text} change tracking settings.")
    if not wanted and any(spec.tracked for spec in statement.catalog.specs.values()):
        text = f"Change tracking is enabled for one or more tables in database '{database}'. Disable change tracking on each"
        raise SqlError(22115, f"{text} table before disabling it for the database.")
    period, unit, auto = _options(tokens)
    statements = ["DELETE FROM mssys.state WHERE name = 'change_tracking'", "DELETE FROM mssys.change_tracking_databases"]
    if wanted:
        statements += [
            "INSERT INTO mssys.state VALUES ('change_tracking', 'ON')",
            f"INSERT INTO mssys.change_tracking_databases VALUES (5, {auto}, {period}, {_UNITS[unit]}, '{unit}', NULL)",
        ]
    return Change(statements, state=lambda cursor: None)


def _options(tokens: TokenReader) -> tuple[int, str, int]:
    """Retention with its unit, and whether old changes are removed by themselves."""
    period, unit, auto = 2, "DAYS", 1
    if tokens.maybe("("):
        while not tokens.maybe(")"):
            name = tokens.take().text.upper()
            tokens.need("=")
            if name == "CHANGE_RETENTION":
                period, unit = int(tokens.take().text), tokens.take().text.upper()
            else:
                auto = int(tokens.take().text.upper() == "ON")
            tokens.maybe(",")
    tokens.end()
    return period, unit, auto


def track_table(tokens: TokenReader, statement: Statement) -> Change:
    """ALTER TABLE t ENABLE | DISABLE CHANGE_TRACKING [WITH (TRACK_COLUMNS_UPDATED = ON)]."""
    spec = named_table(tokens.name(), statement)
    what = tokens.take().text.upper()
    tokens.need("CHANGE_TRACKING")
    with_columns = "ON" in tokens.rest().upper().replace("CHANGE", "").split("=")[-1]
    if what == "DISABLE":
        if not spec.tracked:
            raise SqlError(4998, f"Change tracking is not enabled on table '{spec.name}'.")
        gone = [f"DROP TABLE {spec.changes}", f"DELETE FROM mssys.tracked WHERE object_id = {spec.object_id}"]
        return Change(gone, puts=[replace(spec, tracked=False)])
    if not statement.catalog.settings.get("change_tracking"):
        text = f"Change tracking is disabled for database '{statement.catalog.database}'. Change tracking must be enabled on a"
        raise SqlError(22106, f"{text} database to enable change tracking on a table.")
    if spec.tracked:
        raise SqlError(4996, f"Change tracking is already enabled for table '{spec.name}'.")
    if not spec.key:
        text = (
            f"Cannot enable change tracking on table '{spec.name}'. Change tracking requires a primary key on the table. Create"
        )
        raise SqlError(4997, f"{text} a primary key on the table before enabling change tracking.")
    keys = ", ".join(f"{spec.column(name).stored} {spec.column(name).kind.store}" for name in spec.key)
    made = [
        f"CREATE TABLE {spec.changes} ({keys}, op VARCHAR, txn BIGINT)",
        f"INSERT INTO mssys.tracked SELECT {spec.object_id}, {with_columns}, coalesce(max(version), 0), 0, NULL "
        "FROM mssys.change_commits",
    ]
    return Change(made, puts=[replace(spec, tracked=True)])


def grown_old(statement: Statement, days: int) -> Change:
    """sp_sandbox_age_changes: the sandbox's own, for tests: what was committed so far is so many days older."""
    return Change([f"UPDATE mssys.change_commits SET committed = committed - {days * 86_400}"], state=lambda cursor: None)


def cleaned_up(spec: TableSpec | None, statement: Statement) -> Change:
    """sys.sp_flush_CT_internal_table_on_demand: removes what is older than the retention, of a table or of all tracked ones."""
    found = [spec] if spec is not None else [each for each in statement.catalog.specs.values() if each.tracked]
    unit = "CASE retention_period_units WHEN 1 THEN 60 WHEN 2 THEN 3600 ELSE 86400 END"
    limit = f"(SELECT epoch(now()) - retention_period * {unit} FROM mssys.change_tracking_databases)"
    old = f"(SELECT coalesce(max(version), 0) FROM mssys.change_commits WHERE committed < {limit})"
    statements = []
    for each in found:
        statements += [
            f"DELETE FROM {each.changes} WHERE txn IN (SELECT txn FROM mssys.change_commits WHERE committed < {limit})",
            f"UPDATE mssys.tracked SET cleanup_version = greatest(cleanup_version, {old}) WHERE object_id = {each.object_id}",
        ]
    return Change(statements, state=lambda cursor: None)


def restored(version: int, statement: Statement) -> Change:
    """sp_sandbox_restore_version: the sandbox's own, for tests: later versions were never there, as in a restored database."""
    later = f"(SELECT txn FROM mssys.change_commits WHERE version > {version})"
    gone = [f"DELETE FROM {each.changes} WHERE txn IN {later}" for each in statement.catalog.specs.values() if each.tracked]
    return Change([*gone, f"DELETE FROM mssys.change_commits WHERE version > {version}"], state=lambda cursor: None)
