"""An engine that stays: `engine.py sail|spark WAREHOUSE [as-shipped]`, which runs jobs in this process, one line of JSON each.

In:  {"job": "job.py", "arguments": […], "connect": false}. Out: {"code": 0, "printed": "…"}; first of all {"remote": "sc://…"},
the Spark Connect address at which another process can reach the same engine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import socket
import sys
import traceback

NEEDED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.memory": "2g",
    # The session's zone is the job's business: any other default must change nothing.
    "spark.sql.session.timeZone": "America/Sao_Paulo",
}
# For tables of a few rows: `as-shipped` leaves these to Spark.
QUICK = {
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",  # for a few rows, compiling is most of what executors would do
    "spark.sql.subexpressionElimination.enabled": "false",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",  # VACUUM lists a table's folder in as many tasks
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m",
}


def spark(warehouse: str, as_shipped: bool) -> str:
    """Open-source Spark with Delta and a catalog of its own, and a Connect server beside it where it brings one (from 4.0 on)."""
    import pyspark
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = (
        NEEDED
        | ({} if as_shipped else QUICK)
        | {
            "spark.sql.warehouse.dir": warehouse,
            "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={warehouse}-metastore;create=true",
        }
    )
    if pyspark.__version__ >= "4":
        settings |= {
            "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(port),
        }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    configure_spark_with_delta_pip(builder.enableHiveSupport()).getOrCreate()
    return f"sc://127.0.0.1:{port}"


def sail(warehouse: str, as_shipped: bool) -> str:
    """Sail's Connect server in this process; it has no other settings."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    remote = f"sc://127.0.0.1:{server.listening_address[1]}"
    os.environ["SPARK_REMOTE"] = remote
    globals()["kept"] = server
    return remote


def run(job: str, arguments: list[str], environment: dict[str, str]) -> dict[str, object]:
    """Runs a job as a program of its own would, in this process."""
    printed = io.StringIO()
    code = 0
    before = dict(os.environ)
    os.environ.update(environment)
    sys.argv = [job, *arguments]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            runpy.run_path(job, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            print(end.code)
        except BaseException:
            code = 1
            traceback.print_exc()
    os.environ.clear()
    os.environ.update(before)
    return {"code": code, "printed": printed.getvalue()}


def main() -> None:
    """Serves until the input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    remote = {"sail": sail, "spark": spark}[sys.argv[1]](sys.argv[2], "as-shipped" in sys.argv)
    out.write(json.dumps({"remote": remote}) + "\n")
    out.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        out.write(json.dumps(run(asked["job"], asked["arguments"], asked.get("environment", {}))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
