"""The text of the discovery query: a row per column, once for each index that the column is a key of.

What it reads needs no permission beyond SELECT on the tables themselves: sys.* shows each login what it may see. Ids and
columns: learn.microsoft.com, "System catalog views".
"""

from __future__ import annotations

from collections.abc import Collection

# 0 and 1 are the heap or clustered index: the rows themselves. LOB pages (type 2) hang at the partition, others at its B-tree.
ESTIMATES = """
LEFT JOIN (SELECT object_id, SUM(rows) AS row_estimate FROM sys.partitions WHERE index_id IN (0, 1) GROUP BY object_id) AS r
     ON r.object_id = o.base_id
LEFT JOIN (SELECT p.object_id, SUM(a.used_pages) * 8192 AS byte_estimate
           FROM sys.partitions AS p
           JOIN sys.allocation_units AS a ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
           WHERE p.index_id IN (0, 1) GROUP BY p.object_id) AS z ON z.object_id = o.base_id
"""
# Where a server lacks these views, or denies them: they only tell how large tables are.
NO_ESTIMATES = """
LEFT JOIN (SELECT 0 AS object_id, CONVERT(bigint, NULL) AS row_estimate) AS r ON r.object_id = o.base_id
LEFT JOIN (SELECT 0 AS object_id, CONVERT(bigint, NULL) AS byte_estimate) AS z ON z.object_id = o.base_id
"""
_QUERY = """
SELECT s.name, o.name, o.object_id, RTRIM(o.type), o.is_synonym, o.modify_date, r.row_estimate, z.byte_estimate,
       CONVERT(nvarchar(1000), d.value),
       c.column_id, c.name,
       CASE WHEN c.encryption_type IS NOT NULL THEN N'encrypted ' + t.name
            WHEN t.is_assembly_type = 1 AND t.is_user_defined = 1 THEN N'CLR ' + t.name
            ELSE COALESCE(b.name, t.name) END,
       c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed, c.collation_name,
       CONVERT(nvarchar(1000), e.value),
       k.index_id, k.is_unique, k.is_primary_key, k.has_filter, CASE WHEN k.type IN (1, 2) THEN 1 ELSE 0 END, k.key_ordinal
FROM ({objects}) AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.base_id
JOIN sys.types AS t ON t.user_type_id = c.user_type_id
LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id AND t.is_assembly_type = 0
LEFT JOIN sys.extended_properties AS e ON e.class = 1 AND e.major_id = c.object_id AND e.minor_id = c.column_id
     AND e.name = N'MS_Description'
LEFT JOIN sys.extended_properties AS d ON d.class = 1 AND d.major_id = c.object_id AND d.minor_id = 0
     AND d.name = N'MS_Description'
LEFT JOIN (SELECT ic.object_id, ic.column_id, ic.index_id, ic.key_ordinal, i.is_unique, i.is_primary_key, i.has_filter, i.type
           FROM sys.index_columns AS ic
           JOIN sys.indexes AS i ON i.object_id = ic.object_id AND i.index_id = ic.index_id
           WHERE ic.key_ordinal > 0 AND i.type IN (1, 2, 7) AND i.is_disabled = 0 AND i.is_hypothetical = 0) AS k
     ON k.object_id = c.object_id AND k.column_id = c.column_id
{estimates}
ORDER BY s.name, o.name, o.object_id, c.column_id
"""

_OBJECTS = """
SELECT object_id, object_id AS base_id, schema_id, name, type, 0 AS is_synonym, modify_date FROM sys.objects
WHERE type IN ('U', 'V') AND is_ms_shipped = 0
"""

# A synonym of another database's table has a base whose columns are not in this catalog (ELSEWHERE).
_SYNONYMS = """
SELECT y.object_id, x.object_id AS base_id, y.schema_id, y.name, x.type, 1 AS is_synonym, x.modify_date
FROM sys.synonyms AS y
JOIN sys.objects AS x ON x.object_id = OBJECT_ID(y.base_object_name) AND x.type IN ('U', 'V')
WHERE PARSENAME(y.base_object_name, 4) IS NULL AND COALESCE(PARSENAME(y.base_object_name, 3), DB_NAME()) = DB_NAME()
"""

ELSEWHERE = """
SELECT SCHEMA_NAME(y.schema_id), y.name, y.base_object_name FROM sys.synonyms AS y
WHERE PARSENAME(y.base_object_name, 4) IS NOT NULL OR COALESCE(PARSENAME(y.base_object_name, 3), DB_NAME()) <> DB_NAME()
"""


_NAMES = """
SELECT s.name, o.name, o.object_id FROM ({objects}) AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
ORDER BY s.name, o.name, o.object_id
"""


def query(
    of_synonyms: bool = False, of_tables: bool = True, ids: Collection[int] | None = None, estimates: str = ESTIMATES
) -> str:
    """The query of tables and views, of synonyms, or of both; of those with one of the object ids where these are given."""
    return _QUERY.format(objects=_objects(of_synonyms, of_tables, ids), estimates=estimates)


def names(of_synonyms: bool = False) -> str:
    """The query of the same objects' names: a row for each, with its schema, name and object id."""
    return _NAMES.format(objects=_objects(of_synonyms, True, None))


def _objects(of_synonyms: bool, of_tables: bool, ids: Collection[int] | None) -> str:
    these = "" if ids is None else f" AND {{}}object_id IN ({', '.join(str(int(number)) for number in sorted(ids))})"
    objects = [*([_OBJECTS + these.format("")] if of_tables else []), *([_SYNONYMS + these.format("y.")] if of_synonyms else [])]
    return " UNION ALL ".join(objects)
