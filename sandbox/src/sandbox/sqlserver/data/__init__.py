"""What a new database holds: generated tables, tables from Parquet files, empty tables."""
