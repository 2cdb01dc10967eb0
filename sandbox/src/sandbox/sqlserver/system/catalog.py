"""The catalog: every object by its name, and sys.* and INFORMATION_SCHEMA as DuckDB tables that follow each change.

They stand in the DuckDB schemas `mssys` and `msinfo`; the compiler maps SQL Server's names onto these.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.sqlserver.errors import SqlError
from sandbox.sqlserver.system import tables as systables
from sandbox.sqlserver.system.specs import TableSpec
from sandbox.sqlserver.system.views import VIEWS
from sandbox.sqlserver.types import collations
from sandbox.sqlserver.types.sql_types import STRINGS, SYSTEM, USER_TYPE_ID, SqlType, max_length, parse_type

_PREFIX = {"sys": "mssys", "information_schema": "msinfo"}
_OWN_SCHEMAS = ["dbo", "guest", "INFORMATION_SCHEMA", "sys"]
ALIASES = {"Name": "nvarchar(50)", "AccountNumber": "nvarchar(15)", "Flag": "bit", "OrderNumber": "nvarchar(25)"}
_FIRST_ALIAS = 257


@dataclass(frozen=True)
class Offer:
    """A column that a FROM item offers: its name, its type (None: whatever DuckDB says) and its name in DuckDB.

    `refused` is whose column it is, where it may not be read.
    """

    name: str
    kind: SqlType | None
    stored: str
    refused: str = ""

    def check(self) -> None:
        """Raises SqlError 230 where the column may not be read."""
        if self.refused:
            raise SqlError(230, f"The SELECT permission was denied on the column '{self.name}' of the {self.refused}.", 14)


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
        self._system: dict[tuple[str, str], list[Offer]] = {}
        self.load(cursor)

    # names

    def fold(self, name: str) -> str:
        """What is equal for names that mean the same object."""
        return name if collations.collation(self.collation).case else name.lower()

    def spec(self, schema: str, name: str) -> TableSpec | None:
        """A table, view or synonym by its name."""
        return self.specs.get((self.fold(schema or "dbo"), self.fold(name)))

    def system(self, schema: str, name: str) -> tuple[str, list[Offer]] | None:
        """A catalog view's name in DuckDB and its columns."""
        prefix = _PREFIX.get(schema.lower())
        shape = self._system.get((prefix, name.lower())) if prefix else None
        return (f'{prefix}."{name.lower()}"', shape) if shape else None

    def stored_order(self, schema: str, name: str) -> list[str]:
        """The key columns in whose order a table's rows are stored; empty when they need not be."""
        spec = self.spec(schema, name)
        return spec.key if spec is not None and spec.object_id in self.ordered else []

    def next_id(self) -> int:
        """An object id nobody has; the one behind it is free for the primary key."""
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
        system: dict[tuple[str, str], list[Offer]] = {}
        for schema, table, column, kind in shapes:
            offer = Offer(column, _system_type(column, kind), f'"{column}"')
            system.setdefault((schema, table.lower()), []).append(offer)
        self._system = system

    def load_state(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Settings, schemas, alias types and what is denied."""
        self.settings = dict(cursor.execute("SELECT name, value FROM mssys.state").fetchall())
        self.collation = self.settings.get("collation", collations.DEFAULT)
        self.schemas = {self.fold(name): n for name, n in cursor.execute("SELECT name, schema_id FROM mssys.schemas").fetchall()}
        named = cursor.execute("SELECT name, type, nullable FROM mssys.aliases ORDER BY rowid").fetchall()
        self.aliases = {name: (parse_type(text), _FIRST_ALIAS + n, null) for n, (name, text, null) in enumerate(named)}
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
            for table in systables.OF_OBJECT:
                cursor.execute(f"DELETE FROM mssys.{table} WHERE object_id IN ({numbers})")
            cursor.execute(f"DELETE FROM mssys.extended_properties WHERE major_id IN ({numbers})")
            cursor.execute(f"DELETE FROM mssys.key_constraints WHERE parent_object_id IN ({numbers})")
        for spec in specs:
            add_schema(cursor, self, spec.schema)
        users = {name: number for name, (_, number, _) in self.aliases.items()}
        rows: systables.Rows = {}
        for spec in specs:
            for table, found in systables.rows(spec, self.schemas[self.fold(spec.schema)], users, self.collation).items():
                rows.setdefault(table, []).extend(found)
        for table, found in rows.items():
            append(cursor, table, found)


def make(cursor: duckdb.DuckDBPyConnection, database: str, collation: str) -> None:
    """The empty catalog of a fresh file."""
    cursor.execute("CREATE SCHEMA mssys; CREATE SCHEMA msinfo; CREATE SCHEMA data")
    for table, shape in systables.SHAPES.items():
        cursor.execute(f"CREATE TABLE mssys.{table} ({shape})")
    append(cursor, "state", [{"name": "collation", "value": collation}, {"name": "snapshot", "value": "ON"}])
    append(cursor, "schemas", [{"name": n, "schema_id": i, "principal_id": i} for i, n in enumerate(_OWN_SCHEMAS, start=1)])
    append(cursor, "types", _types(collation))
    for name, text in ALIASES.items():
        add_alias(cursor, name, parse_type(text), True, collation)
    append(cursor, "databases", _databases(database, collation))
    for statement in VIEWS:
        cursor.execute(statement)


def append(cursor: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows into a catalog table; a column that is not named is NULL."""
    if rows:
        cursor.register("incoming", pa.Table.from_pylist(rows))
        cursor.execute(f"INSERT INTO mssys.{table} BY NAME SELECT * FROM incoming")
        cursor.unregister("incoming")


def add_schema(cursor: duckdb.DuckDBPyConnection, catalog: Catalog, name: str) -> None:
    """A schema, unless it is there."""
    if catalog.fold(name) not in catalog.schemas:
        number = max(catalog.schemas.values()) + 1
        append(cursor, "schemas", [{"name": name, "schema_id": number, "principal_id": 1}])
        catalog.schemas[catalog.fold(name)] = number


def add_alias(cursor: duckdb.DuckDBPyConnection, name: str, kind: SqlType, nullable: bool, collation: str) -> None:
    """An alias type in the schema dbo."""
    found = cursor.execute("SELECT count(*) FROM mssys.aliases").fetchone()
    append(cursor, "aliases", [{"name": name, "type": str(kind), "nullable": nullable}])
    row = _type(name, max_length(kind), systables.digits(kind), collation if kind.name in STRINGS else None)
    facts = {**systables.type_ids(kind), "user_type_id": _FIRST_ALIAS + (found[0] if found else 0), "schema_id": 1}
    append(cursor, "types", [{**row, **facts, "is_nullable": nullable, "is_user_defined": True}])


def _system_type(column: str, kind: str) -> SqlType:
    if column.endswith("_date"):
        return SqlType("datetime")
    if column == "value":
        return SqlType("sql_variant")
    names = {"INTEGER": "int", "BIGINT": "bigint", "SMALLINT": "smallint", "UTINYINT": "tinyint", "BOOLEAN": "bit"}
    if kind in names:
        return SqlType(names[kind])
    return SqlType("nvarchar", -1 if column == "definition" else 128)


def _type(name: str, length: int, digits: dict[str, int], collation: str | None) -> dict[str, Any]:
    plain = {"principal_id": None, "is_nullable": name != "timestamp", "is_user_defined": False, "is_table_type": False}
    return {"name": name, "max_length": length, **digits, "collation_name": collation, "is_assembly_type": False, **plain}


def _types(collation: str) -> list[dict[str, Any]]:
    rows = []
    for name, (number, length, precision, scale) in SYSTEM.items():
        shown = "timestamp" if name == "rowversion" else name
        row = _type(shown, length, {"precision": precision, "scale": scale}, collation if name in STRINGS else None)
        ids = {"system_type_id": number, "user_type_id": USER_TYPE_ID.get(name, number), "schema_id": 4}
        rows.append({**row, **ids, "is_assembly_type": number == 240})
    sysname = _type("sysname", 256, {"precision": 0, "scale": 0}, collation)
    return [*rows, {**sysname, "system_type_id": 231, "user_type_id": 256, "schema_id": 4, "is_nullable": False}]


def _databases(database: str, collation: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "database_id": number,
            "create_date": systables.CREATED,
            "compatibility_level": 160,
            "collation_name": collation if name == database else collations.DEFAULT,
            "user_access": 0,
            "is_read_only": False,
            "state": 0,
            "state_desc": "ONLINE",
            "snapshot_isolation_state": 1 if name in (database, "master") else 0,
            "snapshot_isolation_state_desc": "ON" if name in (database, "master") else "OFF",
            "is_read_committed_snapshot_on": False,
            "recovery_model_desc": "SIMPLE",
            "is_cdc_enabled": False,
        }
        for number, name in ((1, "master"), (2, "tempdb"), (5, database))
    ]
