"""The catalog: sys.* and INFORMATION_SCHEMA as tables that are rebuilt from the specs after each change.

They stand in the DuckDB schemas `mssys` and `msinfo`; the compiler maps SQL Server's names onto these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from sandbox.sqlserver.specs import TableSpec
from sandbox.sqlserver.tables import SPECS
from sandbox.sqlserver.types import STRINGS, SYSTEM, USER_TYPE_ID, SqlType, max_length, parse_type

COLLATION = "SQL_Latin1_General_CP1_CI_AS"
CREATED = 46_045 * 86_400 * 300  # 2026-01-25 as datetime
_PREFIX = {"sys": "mssys", "information_schema": "msinfo"}
ALIASES = {"Name": "nvarchar(50)", "AccountNumber": "nvarchar(15)", "Flag": "bit", "OrderNumber": "nvarchar(25)"}
_PRECISION = ("decimal", "numeric", "money", "smallmoney", "tinyint", "smallint", "int", "bigint", "real", "float")


class Catalog:
    """The specs by name, with the shapes of all catalog tables."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.database = "AdventureWorks"
        self.specs: dict[tuple[str, str], TableSpec] = {}
        self._system: dict[tuple[str, str], list[tuple[str, SqlType]]] = {}
        self.ordered: set[int] = set()  # object ids of tables that are stored in key order
        self.load(cursor)

    def load(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Read the specs and the catalog tables' own shapes."""
        rows = cursor.execute("SELECT spec FROM mssys.specs ORDER BY object_id").fetchall()
        specs = [TableSpec.load(text) for (text,) in rows]
        self.specs = {(spec.schema.lower(), spec.name.lower()): spec for spec in specs}
        shapes = cursor.execute(
            "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name IN ('mssys', 'msinfo') ORDER BY table_name, column_index"
        ).fetchall()
        self._system = {}
        for schema, table, column, kind in shapes:
            self._system.setdefault((schema, table.lower()), []).append((column, _system_type(column, kind)))

    def stored_order(self, schema: str, name: str) -> list[str]:
        """The key columns in whose order a table's rows are stored; empty when they need not be."""
        spec = self.specs.get(((schema or "dbo").lower(), name.lower()))
        return spec.key if spec is not None and spec.object_id in self.ordered else []

    def find(self, schema: str, name: str) -> tuple[str, list[tuple[str, SqlType]]] | None:
        """A table's quoted name in DuckDB and its columns."""
        system = _PREFIX.get(schema.lower())
        if system:
            shape = self._system.get((system, name.lower()))
            return (f'{system}."{name.lower()}"', shape) if shape else None
        spec = self.specs.get(((schema or "dbo").lower(), name.lower()))
        return (spec.stored, [(column.name, column.kind) for column in spec.columns]) if spec else None


def _system_type(column: str, kind: str) -> SqlType:
    if column.endswith("_date"):
        return SqlType("datetime")
    names = {"INTEGER": "int", "BIGINT": "bigint", "SMALLINT": "smallint", "UTINYINT": "tinyint", "BOOLEAN": "bit"}
    if kind in names:
        return SqlType(names[kind])
    return SqlType("nvarchar", -1 if column in ("definition", "value") else 128)


def save(cursor: duckdb.DuckDBPyConnection, specs: list[TableSpec], database: str) -> None:
    """Write the specs and everything that follows from them."""
    cursor.execute("CREATE SCHEMA IF NOT EXISTS mssys; CREATE SCHEMA IF NOT EXISTS msinfo")
    texts = [{"object_id": spec.object_id, "spec": spec.dump()} for spec in specs]
    _put(cursor, "mssys.specs", texts, [{"object_id": 1, "spec": ""}])
    # every catalog table has rows for the generated tables, so these tell the shapes
    shapes = _tables([replace(spec, object_id=1) for spec in SPECS], database)
    for name, rows in _tables(specs, database).items():
        _put(cursor, name, rows, shapes[name])
    for statement in _VIEWS:
        cursor.execute(statement)


def _put(cursor: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]], shapes: list[dict[str, Any]]) -> None:
    keep = [row for row in shapes if None not in row.values()] or shapes
    fields = [pa.field(key, _arrow(key, value)) for key, value in keep[0].items()]
    table = pa.Table.from_pylist([row for row in rows if row.get("_") is None], pa.schema(fields))
    cursor.register("incoming", table)
    cursor.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    cursor.unregister("incoming")


def _arrow(key: str, value: object) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        if key.endswith("_date"):
            return pa.int64()
        if key in ("max_length",):
            return pa.int16()
        tiny = key in ("precision", "scale", "system_type_id", "type", "key_ordinal", "snapshot_isolation_state", "class")
        return pa.uint8() if tiny else pa.int32()
    return pa.string()


def _tables(specs: list[TableSpec], database: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of the catalog tables by name."""
    names = ["dbo", "guest", "INFORMATION_SCHEMA", "sys", *sorted({spec.schema for spec in specs} - {"dbo"})]
    schema_ids = {name: number for number, name in enumerate(names, start=1)}
    aliases = {name: (parse_type(text), 257 + number) for number, (name, text) in enumerate(ALIASES.items())}
    objects = [
        {
            "name": spec.name,
            "object_id": spec.object_id,
            "principal_id": 1,
            "schema_id": schema_ids[spec.schema],
            "parent_object_id": 0,
            "type": "V " if spec.select else "U ",
            "type_desc": "VIEW" if spec.select else "USER_TABLE",
            "create_date": CREATED,
            "modify_date": CREATED,
            "is_ms_shipped": False,
            "is_memory_optimized": False,
            "temporal_type": 0,
            "is_external": False,
            "lock_escalation": 0,
            "definition": spec.select or "",
        }
        for spec in specs
    ]
    columns, identities, computed, notes = [], [], [], []
    indexes: list[dict[str, Any]] = []
    index_columns: list[dict[str, Any]] = []
    keys: list[dict[str, Any]] = []
    for spec in specs:
        for number, column in enumerate(spec.columns, start=1):
            kind = column.kind
            row = {
                "object_id": spec.object_id,
                "name": column.name,
                "column_id": number,
                **_type_ids(kind),
                "max_length": max_length(kind),
                **_digits(kind),
                "collation_name": COLLATION if kind.name in STRINGS - {"xml"} else None,
                "is_nullable": column.null,
                "is_identity": column.identity,
                "is_computed": bool(column.computed),
                "is_rowguidcol": column.name == "rowguid",
                "is_hidden": False,
                "is_sparse": False,
                "is_filestream": False,
                "is_xml_document": False,
                "generated_always_type": 0,
                "default_object_id": 0,
                "encryption_type": None,
                "is_masked": False,
            }
            if column.alias:
                row["user_type_id"] = aliases[column.alias][1]
            columns.append(row)
            if column.identity:
                identities.append({**row, "seed_value": "1", "increment_value": "1"})
            if column.computed:
                computed.append({**row, "definition": column.computed, "is_persisted": False})
        if spec.note:
            notes.append(
                {
                    "class": 1,
                    "class_desc": "OBJECT_OR_COLUMN",
                    "major_id": spec.object_id,
                    "minor_id": 0,
                    "name": "MS_Description",
                    "value": spec.note,
                }
            )
        if not spec.select:
            _indexes(spec, schema_ids[spec.schema], indexes, index_columns, keys)
    types = [
        {
            "name": name,
            "system_type_id": number,
            "user_type_id": USER_TYPE_ID.get(name, number),
            "schema_id": 4,
            "principal_id": None,
            "max_length": length,
            "precision": precision,
            "scale": scale,
            "collation_name": COLLATION if name in STRINGS else None,
            "is_nullable": name != "rowversion",
            "is_user_defined": False,
            "is_assembly_type": number == 240,
            "is_table_type": False,
        }
        for name, (number, length, precision, scale) in {
            **{"timestamp" if name == "rowversion" else name: facts for name, facts in SYSTEM.items()},
        }.items()
    ]
    types.append(
        {
            **types[0],
            "name": "sysname",
            "system_type_id": 231,
            "user_type_id": 256,
            "max_length": 256,
            "collation_name": COLLATION,
            "is_nullable": False,
        }
    )
    types += [
        {
            **types[0],
            "name": name,
            **_type_ids(kind),
            "user_type_id": number,
            "schema_id": 1,
            "max_length": max_length(kind),
            **_digits(kind),
            "is_user_defined": True,
            "collation_name": COLLATION if kind.name in STRINGS else None,
        }
        for name, (kind, number) in aliases.items()
    ]
    databases = [
        {
            "name": name,
            "database_id": number,
            "create_date": CREATED,
            "compatibility_level": 160,
            "collation_name": COLLATION,
            "state": 0,
            "state_desc": "ONLINE",
            "user_access": 0,
            "is_read_only": False,
            "snapshot_isolation_state": 1 if name == database else 0,
            "snapshot_isolation_state_desc": "ON" if name == database else "OFF",
            "is_read_committed_snapshot_on": False,
            "recovery_model_desc": "SIMPLE",
            "is_cdc_enabled": False,
        }
        for number, name in ((1, "master"), (2, "tempdb"), (5, database))
    ]
    return {
        "mssys.schemas": [{"name": name, "schema_id": number, "principal_id": 1} for name, number in schema_ids.items()],
        "mssys.objects": objects,
        "mssys.columns": columns,
        "mssys.identity_columns": identities,
        "mssys.computed_columns": computed,
        "mssys.extended_properties": notes,
        "mssys.indexes": indexes,
        "mssys.index_columns": index_columns,
        "mssys.key_constraints": keys,
        "mssys.types": types,
        "mssys.databases": databases,
    }


def _type_ids(kind: SqlType) -> dict[str, int]:
    number = SYSTEM[kind.name][0]
    return {"system_type_id": number, "user_type_id": USER_TYPE_ID.get(kind.name, number)}


def _digits(kind: SqlType) -> dict[str, int]:
    if kind.name in ("decimal", "numeric"):
        return {"precision": kind.precision, "scale": kind.scale}
    if kind.name in ("time", "datetime2", "datetimeoffset"):
        base = {"time": 8, "datetime2": 19, "datetimeoffset": 26}[kind.name]
        return {"precision": base + kind.scale + bool(kind.scale), "scale": kind.scale}
    return {"precision": SYSTEM[kind.name][2], "scale": SYSTEM[kind.name][3]}


def _indexes(
    spec: TableSpec,
    schema_id: int,
    indexes: list[dict[str, Any]],
    index_columns: list[dict[str, Any]],
    keys: list[dict[str, Any]],
) -> None:
    positions = {column.name.lower(): number for number, column in enumerate(spec.columns, start=1)}
    heap = {
        "object_id": spec.object_id,
        "name": None,
        "index_id": 0,
        "type": 0,
        "type_desc": "HEAP",
        "is_unique": False,
        "is_primary_key": False,
        "is_unique_constraint": False,
        "is_disabled": False,
        "has_filter": False,
        "filter_definition": None,
        "is_hypothetical": False,
        "data_space_id": 1,
    }
    parts = [(f"PK_{spec.name}_{'_'.join(spec.key)}", spec.key, True)] if spec.key else []
    if not parts:
        indexes.append(heap)
    parts += [(f"AK_{spec.name}_{'_'.join(names)}", names, False) for names in spec.unique]
    for number, (name, names, primary) in enumerate(parts, start=1 if spec.key else 2):
        kind = {"type": 1, "type_desc": "CLUSTERED"} if primary else {"type": 2, "type_desc": "NONCLUSTERED"}
        indexes.append({**heap, "name": name, "index_id": number, **kind, "is_unique": True, "is_primary_key": primary})
        for ordinal, column in enumerate(names, start=1):
            index_columns.append(
                {
                    "object_id": spec.object_id,
                    "index_id": number,
                    "index_column_id": ordinal,
                    "column_id": positions[column.lower()],
                    "key_ordinal": ordinal,
                    "partition_ordinal": 0,
                    "is_descending_key": False,
                    "is_included_column": False,
                }
            )
        if primary:
            keys.append(
                {
                    "name": name,
                    "object_id": spec.object_id + 1,
                    "principal_id": 1,
                    "schema_id": schema_id,
                    "parent_object_id": spec.object_id,
                    "type": "PK",
                    "type_desc": "PRIMARY_KEY_CONSTRAINT",
                    "create_date": CREATED,
                    "modify_date": CREATED,
                    "unique_index_id": number,
                    "is_system_named": False,
                }
            )


_COUNTS = """
    SELECT o.object_id, i.index_id, CAST(t.estimated_size AS BIGINT) AS counted,
           (SELECT count(*) FROM mssys.columns c WHERE c.object_id = o.object_id) AS width
    FROM mssys.objects o JOIN mssys.schemas s USING (schema_id) JOIN mssys.indexes i USING (object_id)
    JOIN duckdb_tables() t ON t.schema_name = s.name AND t.table_name = o.name
"""
_VIEWS = [
    "CREATE OR REPLACE VIEW mssys.tables AS SELECT * EXCLUDE (definition) FROM mssys.objects WHERE type = 'U '",
    "CREATE OR REPLACE VIEW mssys.views AS SELECT * EXCLUDE (definition, temporal_type) FROM mssys.objects WHERE type = 'V '",
    "CREATE OR REPLACE VIEW mssys.all_objects AS SELECT * FROM mssys.objects",
    "CREATE OR REPLACE VIEW mssys.all_columns AS SELECT * FROM mssys.columns",
    "CREATE OR REPLACE VIEW mssys.sql_modules AS SELECT object_id, definition FROM mssys.objects WHERE type = 'V '",
    f"""CREATE OR REPLACE VIEW mssys.partitions AS
    SELECT CAST(object_id AS BIGINT) * 65536 + index_id AS partition_id, object_id, index_id, 1 AS partition_number,
           CAST(object_id AS BIGINT) * 65536 + index_id AS hobt_id, counted AS rows FROM ({_COUNTS})""",
    f"""CREATE OR REPLACE VIEW mssys.dm_db_partition_stats AS
    SELECT CAST(object_id AS BIGINT) * 65536 + index_id AS partition_id, object_id, index_id, 1 AS partition_number,
           counted * width * 9 // 8060 + 1 AS in_row_data_page_count,
           counted * width * 9 // 8060 + 2 AS used_page_count, counted * width * 9 // 8060 + 9 AS reserved_page_count,
           counted AS row_count FROM ({_COUNTS})""",
    """CREATE OR REPLACE VIEW msinfo.tables AS
    SELECT current_database() AS TABLE_CATALOG, s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME,
           CASE o.type WHEN 'V ' THEN 'VIEW' ELSE 'BASE TABLE' END AS TABLE_TYPE
    FROM mssys.objects o JOIN mssys.schemas s USING (schema_id)""",
    """CREATE OR REPLACE VIEW msinfo.columns AS
    SELECT current_database() AS TABLE_CATALOG, s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME, c.name AS COLUMN_NAME,
           c.column_id AS ORDINAL_POSITION, NULL::VARCHAR AS COLUMN_DEFAULT,
           CASE WHEN c.is_nullable THEN 'YES' ELSE 'NO' END AS IS_NULLABLE, t.name AS DATA_TYPE,
           CASE WHEN t.name IN ('nchar', 'nvarchar') AND c.max_length > 0 THEN c.max_length // 2
                WHEN t.name IN ('char', 'varchar', 'binary', 'varbinary', 'nchar', 'nvarchar', 'xml')
                THEN c.max_length END::INTEGER AS CHARACTER_MAXIMUM_LENGTH,
           CASE WHEN t.name IN ('decimal', 'numeric', 'money', 'smallmoney', 'tinyint', 'smallint', 'int', 'bigint',
                                'real', 'float') THEN c.precision END AS NUMERIC_PRECISION,
           CASE WHEN t.name IN ('decimal', 'numeric', 'money', 'smallmoney', 'tinyint', 'smallint', 'int', 'bigint')
                THEN c.scale END::INTEGER AS NUMERIC_SCALE,
           CASE WHEN t.name IN ('time', 'datetime2', 'datetimeoffset', 'datetime') THEN c.scale
                WHEN t.name IN ('date', 'smalldatetime') THEN 0 END::SMALLINT AS DATETIME_PRECISION,
           c.collation_name AS COLLATION_NAME
    FROM mssys.columns c JOIN mssys.objects o USING (object_id) JOIN mssys.schemas s USING (schema_id)
    JOIN mssys.types t ON t.user_type_id = c.system_type_id OR (c.system_type_id = 240
        AND t.user_type_id = c.user_type_id)""",
    """CREATE OR REPLACE VIEW msinfo.table_constraints AS
    SELECT k.name AS CONSTRAINT_NAME, s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME, 'PRIMARY KEY' AS CONSTRAINT_TYPE
    FROM mssys.key_constraints k JOIN mssys.objects o ON o.object_id = k.parent_object_id
    JOIN mssys.schemas s ON s.schema_id = o.schema_id""",
    """CREATE OR REPLACE VIEW msinfo.constraint_column_usage AS
    SELECT s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME, c.name AS COLUMN_NAME, k.name AS CONSTRAINT_NAME
    FROM mssys.key_constraints k JOIN mssys.objects o ON o.object_id = k.parent_object_id
    JOIN mssys.schemas s ON s.schema_id = o.schema_id
    JOIN mssys.index_columns ic ON ic.object_id = o.object_id AND ic.index_id = k.unique_index_id
    JOIN mssys.columns c ON c.object_id = o.object_id AND c.column_id = ic.column_id""",
    """CREATE OR REPLACE VIEW msinfo.key_column_usage AS
    SELECT k.name AS CONSTRAINT_NAME, s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME, c.name AS COLUMN_NAME,
           CAST(ic.key_ordinal AS INTEGER) AS ORDINAL_POSITION
    FROM mssys.key_constraints k JOIN mssys.objects o ON o.object_id = k.parent_object_id
    JOIN mssys.schemas s ON s.schema_id = o.schema_id
    JOIN mssys.index_columns ic ON ic.object_id = o.object_id AND ic.index_id = k.unique_index_id
    JOIN mssys.columns c ON c.object_id = o.object_id AND c.column_id = ic.column_id""",
]
