"""One run at a time; and stopping one stops all of it."""

from __future__ import annotations

import re
import socket
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


def test_a_second_run_changes_nothing_on_any_machine_and_a_stopped_run_leaves_no_process(
    pipeline: Callable[[str], Pipeline],
) -> None:
    one, elsewhere = pipeline("locked"), pipeline("locked")
    running = one.start(LAKEHOUSE_RUN_LEASE_SECONDS="8")
    until = time.monotonic() + 60
    while not works(one.folder, "venv/bin/tap-mssql --config"):
        assert time.monotonic() < until, one.said(running)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.02)

    everything = halt(running.pid)
    before = snapshot(one.output)
    second = one.run()
    assert second.code == 7
    assert second.text.count("\n") == 1 and f"another run (process {running.pid} on " in second.text
    assert re.search(rf", since 20[-0-9]+ [0-9:]+ UTC\) holds {one.output}/.lock", second.text)
    assert snapshot(one.output) == before
    apart = everything_but_the_lease(everything)
    lease = everything - apart
    assert len(lease) == 1
    for process in lease:
        process.resume()

    third = elsewhere.run(LAKEHOUSE_RUN_LEASE_SECONDS="30")
    assert third.code == 7 and f"a run on {socket.gethostname()} (process {running.pid}, since 20" in third.text, third.text
    assert "writes into dbfs:/locked/delta. Nothing was read or changed." in third.text
    assert "meltano" not in third.text and not list(elsewhere.output.glob("*/*")), "it left before it read anything"
    for process in apart:
        with suppress(psutil.Error):
            process.resume()

    running.terminate()
    assert running.wait(20) == 143
    *said, last = one.said(running).splitlines()
    assert "terminated; Delta holds whole loads only" in last and "terminate called" not in "".join(said)
    assert not [line for line in said if "Meltano" in line], "what a signal ends is no error"
    assert mine(one.folder) == []
    assert list(half_written(one.output)) == []
    assert not list(one.stage.glob("_runs/*/*")), "the lease is given back"


def everything_but_the_lease(processes: set[psutil.Process]) -> set[psutil.Process]:
    """The processes of a run without the one that holds its lease."""
    return {each for each in processes if "lease" not in each.cmdline()}
