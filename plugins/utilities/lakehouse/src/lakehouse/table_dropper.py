"""Drops tables of a schema, then the schema, which must be empty: `table_dropper.py SCHEMA TABLE…`, on the compute of the job.

It travels alone, as the job does. Only `lakehouse accept` sends it, with the tables and the schema that its own job has made.
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession


def quoted(name: str) -> str:
    """A name of several parts in SQL."""
    return ".".join(f"`{part}`" for part in name.split("."))


def main() -> None:
    """Drops what the command line names."""
    schema, *tables = sys.argv[1:]
    spark = SparkSession.builder.getOrCreate()
    for table in tables:
        spark.sql(f"DROP TABLE IF EXISTS {quoted(f'{schema}.{table}')}").collect()
    spark.sql(f"DROP SCHEMA IF EXISTS {quoted(schema)}").collect()
    print(f"{schema} is dropped, with {', '.join(tables)}")


if __name__ == "__main__":
    main()
