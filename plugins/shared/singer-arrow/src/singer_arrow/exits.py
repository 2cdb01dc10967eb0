"""How a plugin ends: exit codes, one message for people, and a note for whoever started Meltano.

Meltano ends with 1 whatever its plugins end with, and wraps what they say. A plugin therefore also writes its exit code and its
message into the file that LIGHTHOUSE_EXITS names, where it is set: entrypoint.sh reads the cause of a failed step there. A
target also notes that it begins: so entrypoint.sh knows how far Meltano came.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

from singer_arrow import lines, masks

VARIABLE = "LIGHTHOUSE_EXITS"
CLEANUP_SECONDS = 4.0
_AGAIN_SECONDS = 0.05


class Exit(IntEnum):
    """The exit codes of the pipeline and of its parts."""

    DONE = 0
    CONFIGURATION = 2
    EXTRACT = 3
    UPLOAD = 4
    CONVERT = 5
    VERIFY = 6
    LOCKED = 7
    INTERRUPTED = 130
    TERMINATED = 143


_done = False


def done(program: str) -> None:
    """All is done and written: the process of this program may end without taking Python apart.

    Nothing changes in another process, which has more to do. Gain: 0.01 of 0.3 CPU seconds of tap-mssql (`perf stat -r 8`).
    """
    global _done
    sys.stdout.flush()
    _done = Path(getattr(sys.modules["__main__"], "__file__", None) or "").name == program


def leave(program: str, message: object, code: int) -> NoReturn:
    """Says on standard error why the program ends, and ends it. Raises SystemExit."""
    tell(program, message, code)
    sys.exit(code)


def tell(program: str, message: object, code: int) -> None:
    """Says on standard error what ends the program, or a part of it, and notes it."""
    text = masks.of_run().hidden(f"{program}: {message}")
    of_step = lines.step()
    if of_step or lines.is_json():
        lines.say(of_step or "extract", text, level="error")
    else:
        print(text, file=sys.stderr, flush=True)
    note(program, code, text)


def note(program: str, code: int, message: str = "") -> None:
    """Writes a line `plugin code`, and the message's lines behind tabs, into the file that LIGHTHOUSE_EXITS names.

    The plugin is called as meltano.yml calls it, which Meltano tells by a variable; else as the program. Nothing happens where
    LIGHTHOUSE_EXITS is not set or the file cannot be written.
    """
    _note(program, str(int(code)), message)


def note_beginning(program: str) -> None:
    """Writes a line `plugin began` there."""
    _note(program, "began")


def _note(program: str, what: str, message: str = "") -> None:
    file = os.environ.get(VARIABLE)
    if file:
        kind = "LOADER" if program.startswith("target-") else "EXTRACTOR"
        plugin = os.environ.get(f"MELTANO_{kind}_NAME") or program
        with contextlib.suppress(OSError), Path(file).open("a") as notes:
            notes.write("".join([f"{plugin} {what}\n", *(f"\t{line}\n" for line in message.splitlines())]))


def on_sigterm(program: str) -> None:
    """SIGTERM ends the program with 143; in the main thread, as an exception that runs `finally` blocks."""

    ended: int | None = None

    def end(signum: int, frame: object) -> None:
        nonlocal ended
        ended = Exit.TERMINATED
        note(program, Exit.TERMINATED)
        raise SystemExit(Exit.TERMINATED)

    signal.signal(signal.SIGTERM, end)
    _leave_at_once(lambda: ended)


def on_signals(program: str) -> None:
    """SIGTERM ends the program with 143, SIGINT with 130; in the main thread, as an exception that runs `finally` blocks.

    An exception that a signal raises is lost where it comes in a destructor (sys.unraisablehook): it is raised again. Whatever
    happens, the program ends within CLEANUP_SECONDS.
    """
    began, code = 0.0, Exit.TERMINATED
    told = sys.unraisablehook

    def end(signum: int, frame: object) -> None:
        nonlocal began, code
        if not began:
            began, code = time.monotonic(), Exit.TERMINATED if signum == signal.SIGTERM else Exit.INTERRUPTED
            note(program, code)
        left = began + CLEANUP_SECONDS - time.monotonic()
        if left <= 0:
            os._exit(code)
        signal.setitimer(signal.ITIMER_REAL, left)
        raise SystemExit(code)

    def lost(found: sys.UnraisableHookArgs) -> None:
        if isinstance(found.exc_value, SystemExit) and began:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            told(found)

    sys.unraisablehook = lost
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, end)
    _leave_at_once(lambda: code if began else None)


def _leave_at_once(code: Callable[[], int | None]) -> None:
    """Ends the process when it has cleaned up, where `code` then says that a signal came, or it is `done`, without taking Python
    apart.

    Threads that are still in C++ would be unwound through it otherwise: "terminate called without an active exception".
    """

    def leave_now() -> None:
        ending = code()
        if ending is None:
            if not _done:
                return
            ending = Exit.DONE
        atexit.unregister(leave_now)
        atexit._run_exitfuncs()  # of others
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(ending)

    atexit.register(leave_now)
