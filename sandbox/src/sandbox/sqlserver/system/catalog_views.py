"""The catalog views that follow from the catalog tables of `catalog_tables`, as DuckDB views."""

from __future__ import annotations

_PAGE = 8_096  # bytes of rows on a page of 8 KiB
_PARTS = f"""
    SELECT CAST(i.object_id AS BIGINT) * 65536 + i.index_id AS number, i.object_id, i.index_id,
           CASE WHEN i.has_filter THEN z.counted // 2 ELSE z.counted END AS counted,
           CASE WHEN z.counted = 0 THEN 0
                WHEN i.index_id < 2 THEN z.row_bytes // {_PAGE} + 1 ELSE z.row_bytes // {_PAGE} // 8 + 1 END AS pages,
           CASE WHEN i.index_id < 2 THEN (z.lob_bytes + {_PAGE - 1}) // {_PAGE} ELSE 0 END AS lob_pages
    FROM mssys.indexes i JOIN mssys.sizes z USING (object_id) WHERE NOT i.is_disabled
"""
VIEWS = [
    """CREATE OR REPLACE VIEW mssys.tables AS
    SELECT * EXCLUDE (definition, base_object_name) FROM mssys.objects WHERE type = 'U '""",
    """CREATE OR REPLACE VIEW mssys.views AS
    SELECT * EXCLUDE (definition, base_object_name, temporal_type) FROM mssys.objects WHERE type = 'V '""",
    """CREATE OR REPLACE VIEW mssys.synonyms AS
    SELECT * EXCLUDE (definition, temporal_type, is_memory_optimized, is_external, lock_escalation)
    FROM mssys.objects WHERE type = 'SN'""",
    """CREATE OR REPLACE VIEW mssys.change_tracking_tables AS
    SELECT object_id, with_columns AS is_track_columns_updated_on, greatest(begun, cleanup_version) AS min_valid_version,
           begun AS begin_version, cleanup_version
    FROM (SELECT *, greatest(begin_version, coalesce(
              (SELECT c.version FROM mssys.change_commits c WHERE c.txn = truncated_by), 0)) AS begun FROM mssys.tracked)""",
    "CREATE OR REPLACE VIEW mssys.all_objects AS SELECT * FROM mssys.objects",
    "CREATE OR REPLACE VIEW mssys.all_columns AS SELECT * FROM mssys.columns",
    "CREATE OR REPLACE VIEW mssys.sql_modules AS SELECT object_id, definition FROM mssys.objects WHERE type = 'V '",
    f"""CREATE OR REPLACE VIEW mssys.partitions AS
    SELECT number AS partition_id, object_id, index_id, 1 AS partition_number, number AS hobt_id, counted AS rows,
           CAST(0 AS UTINYINT) AS data_compression, 'NONE' AS data_compression_desc FROM ({_PARTS})""",
    f"""CREATE OR REPLACE VIEW mssys.allocation_units AS
    SELECT number * 4 + 1 AS allocation_unit_id, CAST(1 AS UTINYINT) AS type, 'IN_ROW_DATA' AS type_desc,
           number AS container_id, 1 AS data_space_id,
           CASE WHEN pages = 0 THEN 0 ELSE (pages + 9) // 8 * 8 + 1 END AS total_pages,
           CASE WHEN pages = 0 THEN 0 ELSE pages + 1 END AS used_pages, pages AS data_pages FROM ({_PARTS})
    UNION ALL
    SELECT number * 4 + 2, 2, 'LOB_DATA', number, 1, (lob_pages + 8) // 8 * 8 + 1, lob_pages + 1, 0
    FROM ({_PARTS}) WHERE lob_pages > 0""",
    f"""CREATE OR REPLACE VIEW mssys.dm_db_partition_stats AS
    SELECT number AS partition_id, object_id, index_id, 1 AS partition_number, pages AS in_row_data_page_count,
           pages + 1 AS in_row_used_page_count, pages + 9 AS in_row_reserved_page_count, lob_pages AS lob_used_page_count,
           lob_pages AS lob_reserved_page_count, pages + lob_pages + 1 AS used_page_count,
           pages + lob_pages + 9 AS reserved_page_count, counted AS row_count FROM ({_PARTS})""",
    """CREATE OR REPLACE VIEW msinfo.tables AS
    SELECT current_database() AS TABLE_CATALOG, s.name AS TABLE_SCHEMA, o.name AS TABLE_NAME,
           CASE o.type WHEN 'V ' THEN 'VIEW' ELSE 'BASE TABLE' END AS TABLE_TYPE
    FROM mssys.objects o JOIN mssys.schemas s USING (schema_id) WHERE o.type IN ('U ', 'V ')""",
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
