"""Jobs as processes of their own, forked from one that has pyspark imported: one line of JSON for each, in and out.

In:  {"number": 1, "job": "job.py", "arguments": […], "environment": {…}, "printed": "file for what it prints"}.
Out: {"number": 1, "pid": 4711} when it begins, {"number": 1, "code": 0} when it has ended. Any number of them run at once. A
process forked before any connection is made is as good as one of its own, and is there in milliseconds;
importing pyspark takes seconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pandas  # noqa: F401
import pyspark.sql.connect.functions
import pyspark.sql.connect.session
import pyspark.sql.types  # noqa: F401


@cache
def code_of(job: str) -> CodeType:
    """A job file, compiled once for all."""
    return compile(Path(job).read_text(), job, "exec")


def run(asked: dict[str, Any]) -> int:
    """Runs a job in this process; its exit code."""
    out = os.open(asked["printed"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(asked["environment"])
    sys.argv = [asked["job"], *asked["arguments"]]
    try:
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(code_of(asked["job"]), module.__dict__)
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
        code_of(asked["job"])
        with told:  # no thread holds the lock of the output while this one forks
            pid = os.fork()
            if pid == 0:
                code = run(asked)
                sys.stdout.flush()
                os._exit(code)
            print(json.dumps({"number": asked["number"], "pid": pid}), flush=True)
        threading.Thread(target=wait, args=(asked["number"], pid)).start()


if __name__ == "__main__":
    main()
