"""SQL Server: connections, sessions, its types, its catalog, its errors."""
