"""One run at a time; and stopping one stops all of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from chain_kit import Pipeline, half_written, halt, mine, works


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_a_second_run_changes_nothing_and_a_stopped_run_leaves_no_process(pipeline: Callable[[str], Pipeline]) -> None:
    one = pipeline("locked")
    running = one.start("extract")
    until = time.monotonic() + 60
    while not works(one.folder, "venv/bin/tap-mssql --config"):
        assert time.monotonic() < until, one.said(running)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.02)

    everything = halt(running.pid)
    before = snapshot(one.output)
    second = one.run()
    assert second.code == 7
    assert second.text.count("\n") == 1 and f"another run holds {one.output}/.lock" in second.text
    assert snapshot(one.output) == before
    for process in everything:
        with suppress(psutil.Error):
            process.resume()

    running.terminate()
    assert running.wait(20) == 143
    *said, last = one.said(running).splitlines()
    assert "terminated; Delta holds whole loads only" in last and "terminate called" not in "".join(said)
    assert not [line for line in said if "Meltano" in line], "what a signal ends is no error"
    assert mine(one.folder) == []
    assert list(half_written(one.output)) == []
