"""The rows that stand for a table, view or synonym in the catalog tables."""

from __future__ import annotations

from typing import Any

from sandbox.sqlserver.system.catalog_tables import CREATED, Rows
from sandbox.sqlserver.system.specs import ColumnSpec, TableSpec, key_name, unique_name
from sandbox.sqlserver.types.sql_types import STRINGS, SYSTEM, USER_TYPE_ID, SqlType, max_length

_KINDS = {"V": ("V ", "VIEW"), "U": ("U ", "USER_TABLE"), "SN": ("SN", "SYNONYM")}


def _code(spec: TableSpec) -> str:
    """U, V or SN."""
    return "SN" if spec.target else "V" if spec.select else "U"


def object_rows(spec: TableSpec, schema_id: int, aliases: dict[str, int], collation: str) -> Rows:
    """An object's rows by catalog table; `aliases` tells the user_type_id of an alias type."""
    code, description = _KINDS[_code(spec)]
    described = {"class": 1, "class_desc": "OBJECT_OR_COLUMN", "major_id": spec.object_id}
    found: Rows = {
        "specs": [{"object_id": spec.object_id, "spec": spec.dump()}],
        "objects": [
            {
                **_object(spec, spec.name, spec.object_id, schema_id, code, description),
                "is_memory_optimized": False,
                "temporal_type": 0,
                "is_external": False,
                "lock_escalation": 0,
                "definition": spec.select,
                "base_object_name": spec.target,
            }
        ],
        "columns": [_column(spec, column, aliases, collation) for column in spec.columns],
        "identity_columns": [
            {**_column(spec, column, aliases, collation), "seed_value": 1, "increment_value": 1}
            for column in spec.columns
            if column.identity
        ],
        "computed_columns": [
            {**_column(spec, column, aliases, collation), "definition": column.computed, "is_persisted": False}
            for column in spec.columns
            if column.computed
        ],
        "extended_properties": [
            {**described, "minor_id": n, "name": name, "value": value}
            for n, name, value in [*([(0, "MS_Description", spec.note)] if spec.note else []), *spec.properties]
        ],
    }
    return found if code != "U " else {**found, **_indexes(spec, schema_id)}


def _object(spec: TableSpec, name: str, number: int, schema_id: int, code: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "object_id": number,
        "principal_id": 1,
        "schema_id": schema_id,
        "parent_object_id": 0 if number == spec.object_id else spec.object_id,
        "type": code,
        "type_desc": description,
        "create_date": spec.created or CREATED,
        "modify_date": spec.modified or CREATED,
        "is_ms_shipped": False,
    }


def _column(spec: TableSpec, column: ColumnSpec, aliases: dict[str, int], collation: str) -> dict[str, Any]:
    kind = column.kind
    row = {
        "object_id": spec.object_id,
        "name": column.name,
        "column_id": column.number,
        **type_ids(kind),
        "max_length": max_length(kind),
        **digits(kind),
        "collation_name": (column.collation or collation) if kind.name in STRINGS - {"xml"} else None,
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
        "is_column_set": False,
    }
    if column.alias:
        row["user_type_id"] = aliases[column.alias]
    return row


def type_ids(kind: SqlType) -> dict[str, int]:
    """`system_type_id` and `user_type_id`."""
    number = SYSTEM[kind.name][0]
    return {"system_type_id": number, "user_type_id": USER_TYPE_ID.get(kind.name, number)}


def digits(kind: SqlType) -> dict[str, int]:
    """`precision` and `scale` as sys.columns has them."""
    if kind.name in ("decimal", "numeric"):
        return {"precision": kind.precision, "scale": kind.scale}
    if kind.name in ("time", "datetime2", "datetimeoffset"):
        base = {"time": 8, "datetime2": 19, "datetimeoffset": 26}[kind.name]
        return {"precision": base + kind.scale + bool(kind.scale), "scale": kind.scale}
    return {"precision": SYSTEM[kind.name][2], "scale": SYSTEM[kind.name][3]}


def _indexes(spec: TableSpec, schema_id: int) -> Rows:
    found: Rows = {"indexes": [], "index_columns": [], "key_constraints": []}
    plain = {
        "object_id": spec.object_id,
        "name": None,
        "index_id": 0,
        "type": 0,
        "type_desc": "HEAP",
        "is_unique": False,
        "data_space_id": 1,
        "ignore_dup_key": False,
        "is_primary_key": False,
        "is_unique_constraint": False,
        "is_disabled": False,
        "is_hypothetical": False,
        "has_filter": False,
        "filter_definition": None,
    }
    if not spec.key:
        found["indexes"].append(plain)
    else:
        name = key_name(spec)
        clustered = {"name": name, "index_id": 1, "type": 1, "type_desc": "CLUSTERED", "is_unique": True, "is_primary_key": True}
        found["indexes"].append({**plain, **clustered})
        found["index_columns"] += _index_columns(spec, 1, spec.key, [], [])
        found["key_constraints"].append(
            {
                **_object(spec, name, spec.object_id + 1, schema_id, "PK", "PRIMARY_KEY_CONSTRAINT"),
                "unique_index_id": 1,
                "is_system_named": False,
            }
        )
    other = {**plain, "type": 2, "type_desc": "NONCLUSTERED"}
    for number, names in enumerate(spec.unique, start=2):
        facts = {"name": unique_name(spec, names), "index_id": number, "is_unique": True, "is_unique_constraint": True}
        found["indexes"].append({**other, **facts})
        found["index_columns"] += _index_columns(spec, number, names, [], [])
    for number, index in enumerate(spec.indexes, start=2 + len(spec.unique)):
        facts = {"name": index.name, "index_id": number, "is_unique": index.unique, "is_disabled": index.disabled}
        filtered = {"has_filter": bool(index.where), "filter_definition": index.where or None}
        found["indexes"].append({**other, **facts, **filtered})
        found["index_columns"] += _index_columns(spec, number, index.columns, index.included, index.descending)
    return found


def _index_columns(
    spec: TableSpec, number: int, names: list[str], included: list[str], descending: list[str]
) -> list[dict[str, Any]]:
    return [
        {
            "object_id": spec.object_id,
            "index_id": number,
            "index_column_id": place,
            "column_id": spec.column(name).number,
            "key_ordinal": place if place <= len(names) else 0,
            "partition_ordinal": 0,
            "is_descending_key": name in descending,
            "is_included_column": place > len(names),
        }
        for place, name in enumerate([*names, *included], start=1)
    ]
