"""The driver of one run: `python runner.py ORDER.json`, in a process of its own.

Starts Sail's Spark Connect server inside this process, points `SparkSession.builder.getOrCreate()` at it, and runs the
submitted file as `__main__`. An exception or an exit code other than 0 is written down for runs/get-output.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path


def main(order_file: str) -> int:
    """Runs the order; the exit code of the submitted file, 1 after an exception."""
    from pysail.spark import SparkConnectServer

    order = json.loads(Path(order_file).read_text())
    server = SparkConnectServer("127.0.0.1", 0)  # stops as soon as nobody holds it
    server.start(background=True)
    os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{server.listening_address[1]}"
    sys.argv = [order["file"], *order["parameters"]]
    sys.path[0] = str(Path(order["file"]).parent)
    try:
        runpy.run_path(order["file"], run_name="__main__")
    except SystemExit as stop:
        if stop.code in (None, 0):
            return 0
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        _write_down(order["failure"], f"SystemExit: {stop.code}", None)
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        traceback.print_exc()
        _write_down(order["failure"], f"{type(error).__name__}: {error}", traceback.format_exc())
        return 1
    return 0


def _write_down(file: str, error: str, trace: str | None) -> None:
    Path(file).write_text(json.dumps({"error": error, "trace": trace}))


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the engine's threads would keep the interpreter waiting
