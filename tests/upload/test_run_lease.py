"""One run at a time writes into a target, on whatever machine; a run that was killed stands in nobody's way for long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lakehouse_kit import Workspace, invocation, lakehouse

SECONDS = "6"


class Machines:
    """Runs of several machines, each with a folder of its own, into one target."""

    def __init__(self, workspace: Workspace, output: Path, stage: str) -> None:
        self.places = [str(uuid.uuid4()) for _ in range(4)]
        self._workspace, self._output, self._stage = workspace, output, stage
        self.started: list[subprocess.Popen[str]] = []

    def run(self, machine: int) -> subprocess.Popen[str]:
        """Starts to hold the lease, as entrypoint.sh does."""
        more = {"LAKEHOUSE_STAGE": self._stage, "LAKEHOUSE_RUN_LEASE_SECONDS": SECONDS}
        command, environment = invocation(self._workspace, self._output, "lease", "--place", self.places[machine], **more)
        pipe = subprocess.PIPE
        self.started.append(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return self.started[-1]


def end_of(run: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of one that ends by itself, and what it said."""
    assert run.stderr
    return run.wait(60), run.stderr.read()


def says(run: subprocess.Popen[str]) -> str:
    assert run.stdout
    return run.stdout.readline()


@contextmanager
def machines_of(workspace: Workspace, output: Path, stage: str) -> Iterator[Machines]:
    found = Machines(workspace, output, stage)
    yield found
    for run in found.started:
        run.kill()
        run.communicate()


@pytest.mark.parametrize("stage", ["dbfs:/lighthouse/stage", "/Volumes/main/lighthouse/stage"])
def test_a_second_run_leaves_while_the_first_lives_and_takes_over_from_one_that_was_killed(
    stage: str, workspace: Workspace, output: Path
) -> None:
    with machines_of(workspace, output, stage) as machines:
        first = machines.run(0)
        assert says(first) == "held\n"
        for number in (signal.SIGINT, signal.SIGTERM):
            first.send_signal(number)  # what ends a run ends its input; until then it is held
        code, said = end_of(machines.run(1))
        assert code == 7 and f"(process {os.getpid()}, since 20" in said, said
        assert "writes into dbfs:/lighthouse/delta. Nothing was read or changed. What to do: wait until it has ended" in said

        told = lakehouse(workspace, output, "doctor", "--json", LAKEHOUSE_STAGE=stage)
        [runs] = [each for each in json.loads(told.stdout) if each["name"] == "runs"]
        assert runs["status"] == "warning" and "process" in runs["text"]
        _, said = first.communicate(timeout=60)
        assert first.returncode == 0 and said == ""
        third = machines.run(1)
        assert says(third) == "held\n", "at once: the first gave it back"

        third.kill()
        third.wait()
        both = [machines.run(2), machines.run(3)]
        heard = [says(each) for each in both]
        assert sorted(heard) == ["", "held\n"], "of two that take it over at once, one has it"
        winner = heard.index("held\n")
        code, said = end_of(both[1 - winner])
        assert code == 7 and "waiting up to 6 s for a sign of life" in said

        both[winner].kill()
        both[winner].wait()
        again = machines.run(2 + winner)
        assert says(again) == "held\n"
        _, said = again.communicate(timeout=60)
        assert said == "", "its own machine's lock says that it is over: nothing is waited for"
