"""The schema of a trial: made, filled through the driver, asked for what the server itself prints, and dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from singer_arrow.findings import Finding
from tap_mssql.config.settings import Settings
from tap_mssql.server.connection import Connection, connect
from tap_mssql.server.diagnosis import driver_text
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.sql_types import quote, text

SCHEMA = "lighthouse_accept"


class Place:
    """One connection as the login that the settings name; it needs CREATE SCHEMA and CREATE TABLE in the database."""

    def __init__(self, settings: Settings) -> None:
        self._connection: Connection = connect(settings)

    def close(self) -> None:
        """Gives the connection up."""
        self._connection.close()

    def does(self, *statements: str) -> None:
        """Statements without a result. Raises what the driver raises."""
        for statement in statements:
            self._connection.execute(statement).close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """A result as the driver alone reads it, row by row. Raises what the driver raises."""
        with self._connection.execute(sql) as cursor:
            return [tuple(row) for row in cursor.fetchall()]

    def one(self, sql: str) -> Any:
        """The only value of a result."""
        return self.rows(sql)[0][0]

    def make(self) -> Finding:
        """The schema. Failed where there is one already, or this login may not."""
        if self.one(f"SELECT COUNT(*) FROM sys.schemas WHERE name = {text(SCHEMA)}"):
            return Finding(
                "schema",
                "failed",
                f"{SCHEMA} is there already",
                f"an earlier trial may have left it: drop its tables, then type DROP SCHEMA {SCHEMA}",
            )
        try:
            self.does(f"CREATE SCHEMA {SCHEMA}")
        except DRIVER_ERRORS as error:
            return Finding(
                "schema", "failed", driver_text(error), "GRANT CREATE SCHEMA and CREATE TABLE in the database to this login"
            )
        return Finding("schema", "ok", f"{SCHEMA} is made")

    def remove(self) -> Finding:
        """The schema and all that is in it."""
        sql = (
            f"SELECT t.name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE s.name = {text(SCHEMA)}"
        )
        try:
            self.does(*[f"DROP TABLE {SCHEMA}.{quote(name)}" for (name,) in self.rows(sql)], f"DROP SCHEMA {SCHEMA}")
        except DRIVER_ERRORS as error:
            return Finding("removed", "failed", driver_text(error), f"drop the tables of {SCHEMA} and the schema by hand")
        return Finding("removed", "ok", f"{SCHEMA} is dropped")

    def table(self, name: str, columns: str, rows: Sequence[str] = ()) -> None:
        """A table of the schema with rows, each the text between the parentheses of VALUES. Raises what the driver raises."""
        self.does(f"CREATE TABLE {SCHEMA}.{quote(name)} ({columns})")
        self.insert(name, rows)

    def insert(self, name: str, rows: Sequence[str], columns: str = "") -> None:
        """Rows into a table of the schema. Raises what the driver raises."""
        if rows:
            self.does(f"INSERT INTO {SCHEMA}.{quote(name)} {columns} VALUES {', '.join(f'({row})' for row in rows)}")
