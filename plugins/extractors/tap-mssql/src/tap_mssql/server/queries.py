"""Queries of one's own as tables: the server says which columns each would have; none is run for it.

Source: learn.microsoft.com, sys.dm_exec_describe_first_result_set.
"""

from __future__ import annotations

from typing import Any

from tap_mssql.config.queries import Query
from tap_mssql.server.connection import Connection
from tap_mssql.server.diagnosis import diagnose, driver_text
from tap_mssql.server.retry import DRIVER_ERRORS
from tap_mssql.server.sql_types import SqlColumn, text
from tap_mssql.server.table import Table

_DESCRIPTION = """
SELECT d.name, COALESCE(d.system_type_name, d.user_type_name, N'CLR type'), d.max_length, d.precision, d.scale, d.is_nullable,
       d.is_identity_column, d.is_computed_column, d.collation_name, d.error_number, d.error_message
FROM sys.dm_exec_describe_first_result_set({query}, NULL, 0) AS d
WHERE d.is_hidden = 0 OR d.error_number IS NOT NULL
ORDER BY d.column_ordinal
"""


def described(connection: Connection, query: Query) -> Table:
    """The view that a query stands for; without columns, and with its `problem`, where the server does not take it.

    Raises what the driver raises where that passes by itself.
    """
    table = Table(query.schema, query.table, True, (), query.key, None, sql=query.sql.strip())
    return again(connection, table)


def again(connection: Connection, table: Table) -> Table:
    """The same query as the server describes it now."""
    try:
        with connection.execute(_DESCRIPTION.format(query=text(f"SELECT * FROM {table.quoted}"))) as cursor:
            rows = cursor.fetchall()
    except DRIVER_ERRORS as error:
        if diagnose(error).transient:
            raise
        return table.described((), f"the server does not take its query: {driver_text(error)}")
    wrong = next((row[10] for row in rows if row[9] is not None), None)
    if wrong is not None:
        return table.described((), f"the server does not take its query: {wrong}")
    columns = tuple(map(_column, rows))
    unknown = [name for name in table.key if name not in {column.name for column in columns}]
    problem = f"its key names {', '.join(unknown)}, which its query does not select" if unknown else ""
    return table.described(columns, problem)


def _column(row: Any) -> SqlColumn:
    name, declared, length, precision, scale, nullable, identity, computed, collation = row[:9]
    kind = declared.partition("(")[0]
    return SqlColumn(name, kind, length, precision, scale, bool(nullable), bool(identity), bool(computed), collation)
