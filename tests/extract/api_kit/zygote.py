"""Runs the tap over and over from one process that has imported it: a run costs a fork, and still is a process of its own.

Reads a line of JSON for each run ({"argv", "folder", "seconds"}); writes one when it has ended ({"code", "seconds", "peak_mb"}).
Knows nothing of the tap but its name.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, NoReturn

TAP = "tap-rest-api-msdk"


def imported() -> Callable[[], Any]:
    """The tap's entry, and all its modules in memory."""
    [script] = entry_points(group="console_scripts", name=TAP)
    main: Callable[[], Any] = script.load()
    package = importlib.import_module(script.module.partition(".")[0])
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
    return main


def child(main: Callable[[], Any], argv: list[str], folder: str) -> NoReturn:
    """What the forked process does: the tap's command, with its own standard streams."""
    code = 1
    try:
        for number, name in enumerate((os.devnull, f"{folder}/out.jsonl", f"{folder}/log.txt")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
        sys.argv = [TAP, *argv]
        main()
        code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            threading._shutdown()  # type: ignore[attr-defined]
            save_coverage()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def save_coverage() -> None:
    """What a run at its end does itself, which a fork does not come to (tests/coverage)."""
    if measuring := sys.modules.get("coverage"):
        current = measuring.Coverage.current()
        if current:
            current.stop()
            current.save()


def wait(pid: int, seconds: float) -> tuple[int | None, float]:
    """Exit code (negative for a signal; None for a run that did not end by itself) and greatest resident memory in MB."""
    ended = os.pidfd_open(pid)
    in_time = bool(select.select([ended], [], [], seconds)[0])
    if not in_time:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    os.close(ended)
    _, status, used = os.wait4(pid, 0)
    return (os.waitstatus_to_exitcode(status) if in_time else None), used.ru_maxrss / 1024


def main() -> None:
    """Until its input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    run = imported()
    for line in sys.stdin:
        wanted = json.loads(line)
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            answers.close()
            child(run, wanted["argv"], wanted["folder"])
        code, peak = wait(pid, wanted["seconds"])
        answers.write(json.dumps({"code": code, "seconds": time.monotonic() - began, "peak_mb": peak}) + "\n")


if __name__ == "__main__":
    main()
