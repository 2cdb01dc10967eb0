"""Jobs as processes of their own, forked from one that has pyspark imported: one line of JSON for each, in and out.

In:  {"number": 1, "job": "job.py", "arguments": […], "environment": {…}, "printed": "file for what it prints"}.
Out: {"number": 1, "code": 0}, in the order in which they end. Any number of them run at once. A process forked before any
connection is made is as good as one of its own, and is there in milliseconds; importing pyspark takes seconds.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import threading
import traceback
from typing import Any

import pandas  # noqa: F401
import pyspark.sql.connect.functions
import pyspark.sql.connect.session
import pyspark.sql.types  # noqa: F401


def run(asked: dict[str, Any]) -> int:
    """Runs a job in this process; its exit code."""
    out = os.open(asked["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(asked["environment"])
    sys.argv = [asked["job"], *asked["arguments"]]
    try:
        runpy.run_path(asked["job"], run_name="__main__")
    except SystemExit as end:
        print(end.code)
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serves until the input ends."""
    told = threading.Lock()

    def wait(number: int, pid: int) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with told:
            print(json.dumps({"number": number, "code": code}), flush=True)

    for line in sys.stdin:
        asked = json.loads(line)
        with told:  # no thread holds the lock of the output while this one forks
            pid = os.fork()
        if pid == 0:
            code = run(asked)
            sys.stdout.flush()
            os._exit(code)
        threading.Thread(target=wait, args=(asked["number"], pid)).start()


if __name__ == "__main__":
    main()
