"""Singer tap for SQL Server: the driver's Arrow batches straight into Parquet parts."""
