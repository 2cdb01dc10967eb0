"""A Databricks workspace on this machine: DBFS, volumes, jobs that really run (on Sail)."""
