"""T-SQL functions to DuckDB."""
