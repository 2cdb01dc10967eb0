"""The programs that are measured: each reads one table of SQL Server into files of its own."""
