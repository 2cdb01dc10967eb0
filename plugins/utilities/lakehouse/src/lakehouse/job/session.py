"""Settings of the Spark session."""

from __future__ import annotations

from pyspark.sql import SparkSession


def configure(spark: SparkSession, settings: dict[str, str]) -> None:
    """Sets what the engine lets us set; serverless compute refuses some, and their defaults are right there."""
    for name, value in settings.items():
        try:
            spark.conf.set(name, value)
        except Exception as error:
            print(f"setting {name}: {str(error).splitlines()[0]}")
