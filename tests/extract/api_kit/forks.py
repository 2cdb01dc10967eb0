"""Runs of the tap that begin as forks of a process which has imported it: the same command, at a fifth of its cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from api_kit import zygote
from api_kit.runs import Run, environment

AT_ONCE = 3  # most of a run's time it waits


class Forks:
    """Some zygotes, each for one run at a time."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(zygote.__file__))]
        for _ in range(AT_ONCE):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
            self._started.append(process)
            self._free.put(process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self._started:
            process.communicate()

    def run(self, folder: Path, config: Mapping[str, Any], *options: str, seconds: float = 60) -> Run:
        """Runs the tap with this configuration; ends it after `seconds`."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "config.json"
        file.write_text(json.dumps(config))
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            argv = ["--config", str(file), *options]
            process.stdin.write(json.dumps({"argv": argv, "folder": str(folder), "seconds": seconds}) + "\n")
            process.stdin.flush()
            ended = json.loads(process.stdout.readline())
        finally:
            self._free.put(process)
        log, output = (folder / "log.txt").read_text(), (folder / "out.jsonl").read_text()
        return Run(ended["code"], log, output, folder / "spool", ended["seconds"], ended["peak_mb"])
