"""A SQL Server counterpart: TDS 7.4 with TLS and a password, DuckDB as the store, data in AdventureWorks' shape."""
