"""The conversion, as it runs on Spark: several files here, one where it is sent (lakehouse.job_file)."""
