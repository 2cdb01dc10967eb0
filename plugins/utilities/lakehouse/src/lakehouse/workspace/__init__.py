"""The Databricks workspace: its REST API, and runs of jobs on it."""
