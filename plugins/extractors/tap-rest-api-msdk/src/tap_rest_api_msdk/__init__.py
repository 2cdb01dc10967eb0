"""Singer tap for REST APIs: typed records straight into Parquet parts, complete or not at all."""
