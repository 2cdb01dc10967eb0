"""The catalog: every object by its name, and sys.* and INFORMATION_SCHEMA as DuckDB tables that follow each change.

They stand in the DuckDB schemas `mssys` and `msinfo`; the compiler maps SQL Server's names onto these.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import duckdb

from sandbox.sqlserver.system.catalog_tables import OF_OBJECT, Rows, append
from sandbox.sqlserver.system.columns import QueryColumn
from sandbox.sqlserver.system.object_rows import object_rows
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.system.type_rows import FIRST_ALIAS_ID
from sandbox.sqlserver.types import collations
from sandbox.sqlserver.types.sql_types import SqlType, parse_type

_PREFIX = {"sys": "mssys", "information_schema": "msinfo"}


class Catalog:
    """The objects by name, with the shapes of all catalog tables, and what is set for the whole database."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, database: str) -> None:
        self.database = database
        self.collation = collations.DEFAULT
        self.specs: dict[tuple[str, str], TableSpec] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._changing = threading.Lock()
        self._last_id = 1_000_000
        self.schemas: dict[str, int] = {}
        self.aliases: dict[str, tuple[SqlType, int, bool]] = {}
        self.denied: dict[int, set[int]] = {}  # object id: numbers of the columns that may not be read, 0 for all
        self.settings: dict[str, str] = {}
        self.version = 0  # changes of definitions so far
        self.ordered: set[int] = set()  # object ids of tables that are stored in key order
        self.stale: set[int] = set()  # object ids whose sizes must be counted again
        self._system: dict[tuple[str, str], list[QueryColumn]] = {}
        self.load(cursor)

    # names

    def fold(self, name: str) -> str:
        """What is equal for names that mean the same object."""
        return name if collations.collation(self.collation).case else name.lower()

    def spec(self, schema: str, name: str) -> TableSpec | None:
        """A table, view or synonym by its name."""
        return self.specs.get((self.fold(schema or "dbo"), self.fold(name)))

    def system(self, schema: str, name: str) -> tuple[str, list[QueryColumn]] | None:
        """A catalog view's name in DuckDB and its columns."""
        prefix = _PREFIX.get(schema.lower())
        shape = self._system.get((prefix, name.lower())) if prefix else None
        return (f'{prefix}."{name.lower()}"', shape) if shape else None

    def stored_order(self, schema: str, name: str) -> list[str]:
        """The key columns in whose order a table's rows are stored; empty when they need not be."""
        spec = self.spec(schema, name)
        return spec.key if spec is not None and spec.object_id in self.ordered else []

    def next_id(self) -> int:
        """An unused object id; the one after it is free for the primary key."""
        with self._changing:
            self._last_id += 16
            return self._last_id

    # from DuckDB

    def load(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Everything anew."""
        self.load_state(cursor)
        texts = cursor.execute("SELECT spec FROM mssys.specs ORDER BY object_id").fetchall()
        self.put([TableSpec.load(text) for (text,) in texts], fresh=True)
        shapes = cursor.execute(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name IN ('mssys', 'msinfo') ORDER BY table_name, column_index"
        ).fetchall()
        system: dict[tuple[str, str], list[QueryColumn]] = {}
        for schema, table, column, kind in shapes:
            found = QueryColumn(column, _system_type(column, kind), f'"{column}"')
            system.setdefault((schema, table.lower()), []).append(found)
        self._system = system

    def load_state(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Settings, schemas, alias types and what is denied."""
        self.settings = dict(cursor.execute("SELECT name, value FROM mssys.state").fetchall())
        self.collation = self.settings.get("collation", collations.DEFAULT)
        self.schemas = {self.fold(name): n for name, n in cursor.execute("SELECT name, schema_id FROM mssys.schemas").fetchall()}
        named = cursor.execute("SELECT name, type, nullable FROM mssys.aliases ORDER BY rowid").fetchall()
        self.aliases = {name: (parse_type(text), FIRST_ALIAS_ID + n, null) for n, (name, text, null) in enumerate(named)}
        denied: dict[int, set[int]] = {}
        for number, column in cursor.execute("SELECT object_id, column_id FROM mssys.denied").fetchall():
            denied.setdefault(number, set()).add(column)
        self.denied = denied

    # changes

    def put(self, specs: Iterable[TableSpec], gone: Iterable[TableSpec] = (), fresh: bool = False) -> None:
        """New and changed objects, in memory; `fresh` forgets all others. Who reads meanwhile sees all of it or nothing."""
        with self._changing:
            found = {} if fresh else dict(self.specs)
            names = {} if fresh else dict(self._names)
            for spec in gone:
                found.pop(names.pop(spec.object_id, ("", "")), None)
            for spec in specs:
                found.pop(names.get(spec.object_id, ("", "")), None)
                name = (self.fold(spec.schema), self.fold(spec.name))
                found[name] = spec
                names[spec.object_id] = name
                self.version = max(self.version, spec.version)
                self._last_id = max(self._last_id, spec.object_id)
                self.stale.add(spec.object_id)
            self.specs, self._names = found, names

    def save(self, cursor: duckdb.DuckDBPyConnection, specs: list[TableSpec], gone: Iterable[TableSpec] = ()) -> None:
        """The same in DuckDB, inside whatever transaction is open there."""
        numbers = ", ".join(str(spec.object_id) for spec in [*specs, *gone])
        if numbers:
            for table in OF_OBJECT:
                cursor.execute(f"DELETE FROM mssys.{table} WHERE object_id IN ({numbers})")
            cursor.execute(f"DELETE FROM mssys.extended_properties WHERE major_id IN ({numbers})")
            cursor.execute(f"DELETE FROM mssys.key_constraints WHERE parent_object_id IN ({numbers})")
        for spec in specs:
            add_schema(cursor, self, spec.schema)
        users = {name: number for name, (_, number, _) in self.aliases.items()}
        rows: Rows = {}
        for spec in specs:
            for table, found in object_rows(spec, self.schemas[self.fold(spec.schema)], users, self.collation).items():
                rows.setdefault(table, []).extend(found)
        for table, found in rows.items():
            append(cursor, table, found)


def add_schema(cursor: duckdb.DuckDBPyConnection, catalog: Catalog, name: str) -> None:
    """A schema, unless it is there."""
    if catalog.fold(name) not in catalog.schemas:
        number = max(catalog.schemas.values()) + 1
        append(cursor, "schemas", [{"name": name, "schema_id": number, "principal_id": 1}])
        catalog.schemas[catalog.fold(name)] = number


def drop_schema(cursor: duckdb.DuckDBPyConnection, catalog: Catalog, name: str) -> None:
    """Takes an empty schema away."""
    number = catalog.schemas.pop(catalog.fold(name))
    cursor.execute(f"DELETE FROM mssys.schemas WHERE schema_id = {number}")


def _system_type(column: str, kind: str) -> SqlType:
    if column.endswith("_date"):
        return SqlType("datetime")
    if column == "value":
        return SqlType("sql_variant")
    names = {"INTEGER": "int", "BIGINT": "bigint", "SMALLINT": "smallint", "UTINYINT": "tinyint", "BOOLEAN": "bit"}
    if kind in names:
        return SqlType(names[kind])
    return SqlType("nvarchar", -1 if column == "definition" else 128)
