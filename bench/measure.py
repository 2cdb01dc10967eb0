"""Runs a command and says what its whole process tree took: CPU seconds, wall seconds, peak memory in MB."""

from __future__ import annotations

import re
import resource
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PROGRAM = re.compile(r"/(tap-[\w-]+|target-[\w-]+|lakehouse|meltano|databricks)(?:\s|$)")


@dataclass
class Measured:
    """CPU (user + system, children included) and wall in seconds; memory in MB.

    `peak` is the high-water mark of resident memory by program; `total` the most that all processes together took at one
    moment (shells left out), where what they share, the libraries' pages, counts once (proc(5), Pss).
    """

    cpu: float
    wall: float
    status: int
    output: str
    peak: dict[str, float] = field(default_factory=dict)
    total: float = 0.0


def run(command: list[str], cwd: Path, env: dict[str, str], memory: bool = True) -> Measured:
    """Runs a command to its end. Memory is what the kernel says (VmHWM, Pss), looked up every 20 ms.

    Looking it up holds what is measured up (the kernel walks its pages meanwhile): without `memory`, times are truer.
    """
    before, start = _cpu(), time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    measured = Measured(0.0, 0.0, 0, "")
    done = threading.Event()
    if memory:
        threading.Thread(target=_watch, args=(process.pid, measured, done), daemon=True).start()
    try:
        measured.output, _ = process.communicate()
    finally:
        done.set()
        process.kill()
    measured.cpu, measured.wall, measured.status = _cpu() - before, time.monotonic() - start, process.returncode
    return measured


def _cpu() -> float:
    """Of all children that ended, in seconds; getrusage(2) has microseconds where times(2) has hundredths of a second."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(pid: int, measured: Measured, done: threading.Event) -> None:
    while not done.wait(0.02):
        try:
            root = psutil.Process(pid)
            tree = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        together = 0.0
        for process in tree:
            try:
                words, memory = process.cmdline()[:2], _of("status", "VmHWM", process.pid)
                own = _of("smaps_rollup", "Pss", process.pid)
            except (psutil.Error, OSError):
                continue
            name = _PROGRAM.search(" ".join(words))
            if name:
                measured.peak[name[1]] = max(measured.peak.get(name[1], 0.0), memory)
            if words and Path(words[0]).name not in ("bash", "sh"):
                together += own
        measured.total = max(measured.total, together)


def _of(file: str, name: str, pid: int) -> float:
    """A figure of a process in MB; 0 for one that has just ended."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
