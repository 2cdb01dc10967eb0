"""A SQL Server stand-in: TDS over TLS with a password, DuckDB as the store, data modelled on AdventureWorks."""
