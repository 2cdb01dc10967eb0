"""Runs the conversion job on open-source Spark with Delta: `run_job.py WAREHOUSE JOB.py ARGUMENT…`."""

from __future__ import annotations

import runpy
import sys

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

warehouse, job, *arguments = sys.argv[1:]
settings = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.warehouse.dir": warehouse,
    "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={warehouse}-metastore;create=true",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    # The session's zone is the job's business: any other default must change nothing.
    "spark.sql.session.timeZone": "America/Sao_Paulo",
}
builder = SparkSession.builder.master("local[2]")
for name, value in settings.items():
    builder = builder.config(name, value)
configure_spark_with_delta_pip(builder.enableHiveSupport()).getOrCreate()
sys.argv = [job, *arguments]
runpy.run_path(job, run_name="__main__")
