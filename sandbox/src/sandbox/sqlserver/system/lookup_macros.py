"""DuckDB macros over the catalog: OBJECT_ID, SCHEMA_NAME, HAS_PERMS_BY_NAME and the like."""

from __future__ import annotations


def lookup_macros(database: str, case: bool) -> list[str]:
    """The statements that create them; `case` tells whether names that differ in case are different."""
    part = r"\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|[^.\[\"]+".replace(r"\"", '"')
    fold = "x" if case else "lower(x)"
    name = database.replace("'", "''")
    return [
        f"CREATE OR REPLACE MACRO fold_name(x) AS {fold}",
        "CREATE OR REPLACE MACRO bare_name(p) AS CASE WHEN p[1] = '[' THEN replace(substring(p, 2, length(p) - 2), ']]', ']') "
        "WHEN p[1] = '\"' THEN replace(substring(p, 2, length(p) - 2), '\"\"', '\"') ELSE p END",
        f"CREATE OR REPLACE MACRO parsename(n, i) AS bare_name(regexp_extract_all(n, '{part}')[-i])",
        "CREATE OR REPLACE MACRO object_id(n, t) AS (SELECT o.object_id FROM mssys.objects o JOIN mssys.schemas s "
        "USING (schema_id) WHERE fold_name(o.name) = fold_name(parsename(n, 1)) "
        "AND fold_name(s.name) = fold_name(coalesce(parsename(n, 2), 'dbo')) "
        f"AND coalesce(fold_name(parsename(n, 3)), fold_name('{name}')) = fold_name('{name}') "
        "AND (t IS NULL OR rtrim(o.type) = upper(t)))",
        "CREATE OR REPLACE MACRO may_select(n) AS CASE WHEN object_id(n, NULL) IS NULL THEN NULL WHEN (SELECT count(*) "
        "FROM mssys.denied d WHERE d.object_id = object_id(n, NULL) AND d.column_id = 0) > 0 THEN 0 ELSE 1 END",
        "CREATE OR REPLACE MACRO column_number(i, c) AS (SELECT k.column_id FROM mssys.columns k WHERE k.object_id = i "
        "AND fold_name(k.name) = fold_name(c))",
        "CREATE OR REPLACE MACRO may_select_column(n, c) AS CASE WHEN column_number(object_id(n, NULL), c) IS NULL THEN NULL "
        "WHEN (SELECT count(*) FROM mssys.denied d WHERE d.object_id = object_id(n, NULL) "
        "AND d.column_id IN (0, column_number(object_id(n, NULL), c))) > 0 THEN 0 ELSE 1 END",
        "CREATE OR REPLACE MACRO schema_name(i) AS (SELECT s.name FROM mssys.schemas s WHERE s.schema_id = i)",
        "CREATE OR REPLACE MACRO schema_id(n) AS (SELECT s.schema_id FROM mssys.schemas s "
        "WHERE fold_name(s.name) = fold_name(n))",
        "CREATE OR REPLACE MACRO object_name(i) AS (SELECT o.name FROM mssys.objects o WHERE o.object_id = i)",
        "CREATE OR REPLACE MACRO object_schema_name(i) AS (SELECT s.name FROM mssys.objects o JOIN mssys.schemas s "
        "USING (schema_id) WHERE o.object_id = i)",
        "CREATE OR REPLACE MACRO type_name(i) AS (SELECT t.name FROM mssys.types t WHERE t.user_type_id = i)",
        "CREATE OR REPLACE MACRO type_id(n) AS (SELECT t.user_type_id FROM mssys.types t WHERE fold_name(t.name) = fold_name(n))",
        "CREATE OR REPLACE MACRO quotename(n) AS '[' || replace(n, ']', ']]') || ']'",
    ]
