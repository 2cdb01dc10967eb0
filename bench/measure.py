"""Runs a command and says what its whole process tree took: CPU seconds, wall seconds, peak memory per program in MB."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PROGRAM = re.compile(r"/(tap-[\w-]+|target-[\w-]+|lakehouse|meltano|databricks)(?:\s|$)")


@dataclass
class Measured:
    """CPU (user + system, children included) and wall in seconds; `peak` is the high-water mark of resident memory in MB."""

    cpu: float
    wall: float
    status: int
    output: str
    peak: dict[str, float] = field(default_factory=dict)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> Measured:
    """Runs a command to its end. Memory is the kernel's own high-water mark (VmHWM), looked up every 20 ms."""
    before, start = os.times(), time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak: dict[str, float] = {}
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    output, _ = process.communicate()
    done.set()
    watcher.join()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(cpu, time.monotonic() - start, process.returncode, output, peak)


def _watch(pid: int, peak: dict[str, float], done: threading.Event) -> None:
    while not done.wait(0.02):
        try:
            tree = psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for process in tree:
            try:
                name = _PROGRAM.search(" ".join(process.cmdline()[:2]))
                status = Path(f"/proc/{process.pid}/status").read_text()
            except (psutil.Error, OSError):
                continue
            high = re.search(r"VmHWM:\s+(\d+) kB", status)
            if name and high:
                peak[name[1]] = max(peak.get(name[1], 0.0), int(high[1]) / 1024)
