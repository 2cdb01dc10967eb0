"""The shapes of the catalog tables: sys.* as DuckDB tables in the schema `mssys`, and tables of our own beside them."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

CREATED = 46_045 * 86_400 * 300  # 2026-01-25 as `datetime` is stored
_OBJECT = """name VARCHAR, object_id INTEGER, principal_id INTEGER, schema_id INTEGER, parent_object_id INTEGER, type VARCHAR,
    type_desc VARCHAR, create_date BIGINT, modify_date BIGINT, is_ms_shipped BOOLEAN"""
_COLUMN = """object_id INTEGER, name VARCHAR, column_id INTEGER, system_type_id UTINYINT, user_type_id INTEGER,
    max_length SMALLINT, precision UTINYINT, scale UTINYINT, collation_name VARCHAR, is_nullable BOOLEAN, is_identity BOOLEAN,
    is_computed BOOLEAN, is_rowguidcol BOOLEAN, is_hidden BOOLEAN, is_sparse BOOLEAN, is_filestream BOOLEAN,
    is_xml_document BOOLEAN, generated_always_type UTINYINT, default_object_id INTEGER, encryption_type INTEGER,
    is_masked BOOLEAN, is_column_set BOOLEAN"""
SHAPES = {
    "specs": "object_id INTEGER, spec VARCHAR",
    "state": "name VARCHAR, value VARCHAR",
    "denied": "object_id INTEGER, column_id INTEGER",
    "aliases": "name VARCHAR, type VARCHAR, nullable BOOLEAN",
    "sizes": "object_id INTEGER, counted BIGINT, row_bytes BIGINT, lob_bytes BIGINT",
    "tracked": "object_id INTEGER, with_columns BOOLEAN, begin_version BIGINT, cleanup_version BIGINT, truncated_by BIGINT",
    "change_commits": "txn BIGINT, version BIGINT, committed DOUBLE",
    "change_tracking_databases": """database_id INTEGER, is_auto_cleanup_on UTINYINT, retention_period INTEGER,
        retention_period_units UTINYINT, retention_period_units_desc VARCHAR, max_cleanup_version BIGINT""",
    "schemas": "name VARCHAR, schema_id INTEGER, principal_id INTEGER",
    "objects": f"""{_OBJECT}, is_memory_optimized BOOLEAN, temporal_type UTINYINT, is_external BOOLEAN,
        lock_escalation UTINYINT, definition VARCHAR, base_object_name VARCHAR""",
    "columns": _COLUMN,
    "identity_columns": f"{_COLUMN}, seed_value BIGINT, increment_value BIGINT, last_value BIGINT",
    "computed_columns": f"{_COLUMN}, definition VARCHAR, is_persisted BOOLEAN",
    "extended_properties": "class UTINYINT, class_desc VARCHAR, major_id INTEGER, minor_id INTEGER, name VARCHAR, value VARCHAR",
    "indexes": """object_id INTEGER, name VARCHAR, index_id INTEGER, type UTINYINT, type_desc VARCHAR, is_unique BOOLEAN,
        data_space_id INTEGER, ignore_dup_key BOOLEAN, is_primary_key BOOLEAN, is_unique_constraint BOOLEAN,
        is_disabled BOOLEAN, is_hypothetical BOOLEAN, has_filter BOOLEAN, filter_definition VARCHAR""",
    "index_columns": """object_id INTEGER, index_id INTEGER, index_column_id INTEGER, column_id INTEGER, key_ordinal UTINYINT,
        partition_ordinal UTINYINT, is_descending_key BOOLEAN, is_included_column BOOLEAN""",
    "key_constraints": f"{_OBJECT}, unique_index_id INTEGER, is_system_named BOOLEAN",
    "foreign_keys": f"{_OBJECT}, referenced_object_id INTEGER, key_index_id INTEGER, is_disabled BOOLEAN",
    "types": """name VARCHAR, system_type_id UTINYINT, user_type_id INTEGER, schema_id INTEGER, principal_id INTEGER,
        max_length SMALLINT, precision UTINYINT, scale UTINYINT, collation_name VARCHAR, is_nullable BOOLEAN,
        is_user_defined BOOLEAN, is_assembly_type BOOLEAN, is_table_type BOOLEAN""",
    "databases": """name VARCHAR, database_id INTEGER, create_date BIGINT, compatibility_level UTINYINT,
        collation_name VARCHAR, user_access UTINYINT, is_read_only BOOLEAN, state UTINYINT, state_desc VARCHAR,
        snapshot_isolation_state UTINYINT, snapshot_isolation_state_desc VARCHAR, is_read_committed_snapshot_on BOOLEAN,
        recovery_model_desc VARCHAR, is_cdc_enabled BOOLEAN""",
}
# tables that have an object's rows under its object_id
OF_OBJECT = ("specs", "objects", "columns", "identity_columns", "computed_columns", "indexes", "index_columns")

Rows = dict[str, list[dict[str, Any]]]  # by table


def append(cursor: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """Rows into a catalog table; a column that is not named is NULL."""
    if rows:
        cursor.register("incoming", pa.Table.from_pylist(rows))
        cursor.execute(f"INSERT INTO mssys.{table} BY NAME SELECT * FROM incoming")
        cursor.unregister("incoming")
