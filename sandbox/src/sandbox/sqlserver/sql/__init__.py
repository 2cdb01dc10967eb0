"""T-SQL queries and expressions to DuckDB."""
