"""A run as others watch it: traces and metrics by OpenTelemetry, lineage by OpenLineage. Nothing here changes what a run does."""
