"""lakehouse: staged Parquet parts to Databricks, and the job that turns them into Delta tables."""
