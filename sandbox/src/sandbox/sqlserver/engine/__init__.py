"""The running server: the DuckDB file, sessions and their transactions, connections, faults on request."""
