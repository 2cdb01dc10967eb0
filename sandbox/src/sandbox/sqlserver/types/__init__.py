"""SQL Server's types and collations, and the form in which DuckDB stores their values."""
